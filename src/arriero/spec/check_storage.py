"""Models that are taken `from: storage`: what the job that puts them there can't do is refused."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.model import Spec

BAKE = "remove `from: storage`: the model is baked into the image then"


def storage_problems(spec: Spec) -> Iterator[Problem]:
    """Only what can be pulled gets into a cloud's storage, by programs of an image that has a sidecar."""
    clouds = [name for name, site in spec.sites.items() if site.cloud != "local"]
    for index, model in enumerate(spec.models):
        if model.source != "storage" or not clouds:
            continue
        if own := next((key for key in ("modelfile", "gguf") if getattr(model, key)), None):
            what = "the job that fills a site's storage pulls models; it has no files of yours"
            yield Problem(what, f"push the model to a registry and write `pull`; or {BAKE}", f"models[{index}].{own}")
        if not spec.sidecar:
            what = "the programs that fill a site's storage and read it come with the sidecar, which is off"
            yield Problem(what, f"remove `sidecar: false`; or {BAKE}", f"models[{index}].from")
    if any(model.source == "storage" for model in spec.models):
        yield from _login_problems(spec)
    yield from _throughput_problems(spec)


def _throughput_problems(spec: Spec) -> Iterator[Problem]:
    """It is EFS's own. Elastic is the default, and what is written out of a spec says so."""
    is_used = any(model.source == "storage" for model in spec.models)
    is_there = is_used and any(site.cloud == "aws" for site in spec.sites.values())
    if spec.storage.mode != "elastic" and not is_there:
        what = "no site in AWS has models from storage, and it is about EFS alone"
        yield Problem(what, "remove it, or write `from: storage` for a model", "storage.throughput")


def _login_problems(spec: Spec) -> Iterator[Problem]:
    """ECS gives the job its login; at Azure it is a container group that is made without secrets."""
    for name, site in spec.sites.items():
        if site.cloud == "azure" and site.registry_login:
            what = f"the job that fills {name}'s storage runs the image, too, and has no login to its registry"
            remedy = f"keep the image in NAME.azurecr.io and write registry_identity; or {BAKE}"
            yield Problem(what, remedy, f"sites.{name}.registry_login")
