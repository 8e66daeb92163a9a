"""Models that are taken `from: storage`: what no site of a cloud has yet is refused, not found missing when it runs."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.model import Spec


def storage_problems(spec: Spec) -> Iterator[Problem]:
    """One for each such model where a site is in a cloud; a local site's storage is its own machine's."""
    clouds = [name for name, site in spec.sites.items() if site.cloud != "local"]
    for index, model in enumerate(spec.models):
        if model.source == "storage" and clouds:
            what = f"neither EFS nor Azure Files is mounted yet, so that {', '.join(clouds)} would lack the model"
            yield Problem(
                what, "remove `from: storage`: the model is baked into the image then", f"models[{index}].from"
            )
