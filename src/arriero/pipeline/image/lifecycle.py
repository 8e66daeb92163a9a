"""How long registries keep images, as files for them: every digest of the last N releases, and what is stable.

ECR's rules are those that `up` sets (`plan/registries.py`). ACR has no such rules but a task that runs `acr purge`
(https://learn.microsoft.com/azure/container-registry/container-registry-auto-purge), which deletes tags that match.
"""

from __future__ import annotations

import json

from arriero.plan import registries
from arriero.spec.image import repository_of
from arriero.spec.model import Spec


def ecr(keep: int) -> str:
    """The text of a lifecycle policy."""
    return json.dumps(registries.policy(keep), indent=2) + "\n"


def acr(spec: Spec) -> str:
    """A task for `az acr task create --file acr-purge.yaml`: releases beyond the newest, then old commits."""
    path = repository_of(spec.image.at("azure")).partition("/")[2]
    releases = f"acr purge --filter '{path}:^r[0-9]+$' --ago 0d --keep {spec.image.keep}"
    commits = f"acr purge --filter '{path}:^git-' --ago {registries.COMMIT_DAYS}d --keep {spec.image.keep} --untagged"
    return "version: v1.1.0\nsteps:\n" + "".join(
        f"  - cmd: {line}\n    disableWorkingDirectoryOverride: true\n    timeout: 3600\n"
        for line in (releases, commits)
    )
