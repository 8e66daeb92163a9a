"""The rules of the section `failover`, and between it and the sites."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.failover import Pair
from arriero.spec.model import Spec
from arriero.spec.suggest import suggest

# What a site that keeps no target needs to start its first: the start of a task, and a model into memory.
COLD_START_SECONDS = 60
# Below, a single slow probe would end a site.
LEAST_AFTER_SECONDS = 5


def failover_problems(spec: Spec) -> Iterator[Problem]:
    owners: dict[str, int] = {}
    for index, pair in enumerate(spec.failover.pairs):
        key = f"failover.pairs[{index}]"
        yield from _site_problems(spec, pair, index, owners)
        if len(pair.sites) == 2 and all(name in spec.sites for name in pair.sites):
            yield from _promise_problems(spec, pair, key)
    wanted = spec.failover
    if wanted.after < LEAST_AFTER_SECONDS:
        yield Problem(
            f"{wanted.after} is shorter than a server's hiccup", "write 5s at least, like 30s", "failover.after"
        )
    if wanted.back_after is not None and wanted.back_after < wanted.after:
        what = f"is {wanted.back_after}, shorter than after, which is {wanted.after}: roles would go to and fro"
        yield Problem(what, f"write {wanted.after} or more, or leave it out", "failover.back_after")


def _site_problems(spec: Spec, pair: Pair, index: int, owners: dict[str, int]) -> Iterator[Problem]:
    key = f"failover.pairs[{index}].sites"
    if len(pair.sites) != 2 or pair.sites[0] == pair.sites[-1]:
        yield Problem("are not two sites", "write two, like [aws-east, azure-east]", key)
        return
    for place, name in enumerate(pair.sites):
        where = f"{key}[{place}]"
        if name not in spec.sites:
            remedy = suggest(name, list(spec.sites)) or f"choose from {', '.join(spec.sites)}"
            yield Problem(f"there is no site {name}", remedy, where)
        elif owners.setdefault(name, index) != index:
            yield Problem(f"{name} is in another pair already", "leave it to one of them", where)


def _promise_problems(spec: Spec, pair: Pair, key: str) -> Iterator[Problem]:
    sites = [spec.site(name) for name in pair.sites]
    if all(site.role == "standby" for site in sites):
        yield Problem("both sites are standbys", "make one of them active", f"{key}.sites")
    for site in sites:
        if site.role == "standby" and site.min == 0 and pair.rto < COLD_START_SECONDS:
            what = f"is {pair.rto}, and {site.name} keeps no target: a start takes a minute and more"
            yield Problem(what, f"keep one there (sites.{site.name}.scale.min: 1), or write like 5m", f"{key}.rto")
    clouds = {site.cloud for site in spec.sites.values()} - {"local"}
    if pair.rpo is not None and not float(pair.rpo) and len(clouds) == 1:
        (cloud,) = clouds
        what = f"is 0s, and the ledger is in {cloud} alone, so it may go with a region"
        yield Problem(what, "add a site in the other cloud, or write what may be lost, like 1d", f"{key}.rpo")
