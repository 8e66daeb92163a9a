"""Where Spot can't be had, or should not: each with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from arriero.errors import Problem
from arriero.spec.model import Cloud, Spec
from arriero.spec.spot import WARNING_SECONDS

# ACI's Spot groups, a preview, have neither a virtual network nor a public address:
# https://learn.microsoft.com/azure/container-instances/container-instances-spot-containers-overview
_NOWHERE: Mapping[Cloud, str] = {
    "azure": "Container Instances gives Spot groups no virtual network and no public address: nobody could reach it",
    "local": "a local site has no Spot",
}


def spot_problems(spec: Spec) -> Iterator[Problem]:
    asked = {f"sites.{name}.spot": site.cloud for name, site in spec.sites.items() if site.spot is not None}
    for key, cloud in asked.items():
        if cloud in _NOWHERE:
            yield Problem(_NOWHERE[cloud], "remove it; Spot is to be had at sites of aws", key)
    on_aws = [name for name, site in spec.sites.items() if site.cloud == "aws"]
    if spec.spot is not None and not on_aws:
        yield Problem("no site is in aws, and nowhere else is Spot to be had", "remove it", "spot")
    used = [name for name in on_aws if spec.site(name).spot is not None]
    for key in dict.fromkeys("spot" if spec.sites[name].spot is None else f"sites.{name}.spot" for name in used):
        own = spec.spot if key == "spot" else spec.site(key.split(".")[1]).spot
        if own is not None:
            yield from _risks(spec, key, is_allowed=own.production)


def _risks(spec: Spec, key: str, *, is_allowed: bool) -> Iterator[Problem]:
    if spec.policy.production and not is_allowed:
        what = "users depend on the service (policy.production), and Spot may be taken back at any time"
        yield Problem(what, "remove it; or say that you accept that: production: true, in this section", key)
    if not spec.sidecar:
        what = "without its sidecar an Ollama cuts its streams at the warning, and nobody hears of it before"
        yield Problem(what, "remove `sidecar: false`, or this section", key)
    stop = spec.deploy.stop_within
    if "stop_within" in spec.deploy.model_fields_set and stop > WARNING_SECONDS:
        yield Problem(f"is {stop}; Spot is gone {WARNING_SECONDS}s after its warning", "use 120s", "deploy.stop_within")
