"""How long registries keep images, as files for them: what `up` sets, for registries that it does not reach."""

from __future__ import annotations

import json

from arriero.plan import purging, registries
from arriero.spec.image import repository_of
from arriero.spec.model import Spec


def ecr(keep: int) -> str:
    """The text of a lifecycle policy."""
    return json.dumps(registries.policy(keep), indent=2) + "\n"


def acr(spec: Spec) -> str:
    """A task for `az acr task create --file acr-purge.yaml`."""
    return purging.text(repository_of(spec.image.at("azure")).partition("/")[2], spec.image.keep)
