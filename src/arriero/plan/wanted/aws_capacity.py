"""Which capacity a site's tasks run on: Fargate on demand, or a base of it and a share of Fargate Spot; with GPUs the
site's own machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from arriero.plan.model import Value
from arriero.plan.wanted import aws_gpu, aws_managed
from arriero.spec.model import ResolvedSite

ON_DEMAND, SPOT = "FARGATE", "FARGATE_SPOT"
PROVIDERS = (ON_DEMAND, SPOT)


def providers(site: ResolvedSite) -> tuple[str, ...]:
    """Those that the cluster is told of. One of managed machines is made in its cluster, and can't be told of."""
    is_told_of = site.gpu is not None and not site.gpu.is_managed
    return (*PROVIDERS, *([_machines(site)] if is_told_of else []))


def strategy(site: ResolvedSite) -> Mapping[str, Mapping[str, Value]]:
    """By capacity provider, as ECS has it: the base first, then by weights. Only the first one may have a base."""
    if site.gpu:
        return {_machines(site): {"base": 0, "weight": 1}}
    if site.spot is None:
        return {ON_DEMAND: {"base": 0, "weight": 1}}
    spot = round(site.spot.share * 100)
    part = gcd(spot, 100)
    return {
        ON_DEMAND: {"base": site.spot.base, "weight": (100 - spot) // part},
        SPOT: {"base": 0, "weight": spot // part},
    }


def notes(site: ResolvedSite) -> tuple[str, ...]:
    """What the plan says of it."""
    if site.spot is None:
        return ()
    return (
        f"spot: {site.spot.base} on demand, {site.spot.share} of what is above it Spot, which AWS may take back after "
        "a warning; ECS puts nothing in its place while there is none: arriero controller does, on demand",
    )


def _machines(site: ResolvedSite) -> str:
    is_managed = site.gpu is not None and site.gpu.is_managed
    named = aws_managed.provider_name if is_managed else aws_gpu.provider_name
    return named(f"{site.service}-{site.name}")
