"""What belongs to the service and to no site, made and removed: the ledger's stores, by the roles `aws_ledger` and
`azure_ledger`; the rules of registries, by `aws_registry` and `azure_registry`; the Front Door, by `azure_front_door`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from arriero.deploy.engine import Run, play
from arriero.deploy.workspace import SiteHost
from arriero.errors import Problem
from arriero.events import Json
from arriero.plan import front_door, registries
from arriero.plan.model import Facts, Plan, StoreFacts
from arriero.spec.front_door import NAME
from arriero.spec.model import Spec


def make_stores(run: Run, spec: Spec, found: Sequence[StoreFacts]) -> tuple[Problem, ...]:
    """Makes them side by side; returns what went wrong, a problem a store."""
    return play(run, "every_site.yml", [host(spec, store) for store in found]).problems


def remove_stores(run: Run, spec: Spec, found: Sequence[StoreFacts]) -> tuple[Problem, ...]:
    """Removes them with all that was recorded there."""
    return play(run, "remove.yml", [host(spec, store) for store in found]).problems


def registry_hosts(spec: Spec, facts: Facts, plan: Plan) -> list[SiteHost]:
    """The registries of the images whose rules are to be set."""
    changing = {(each.cloud, each.region) for each in plan.registries if each.changes}
    chosen = [found for found in facts.registries if (found.cloud, found.region) in changing]
    return [_registry_host(found, _module(found).variables(spec, found)) for found in chosen]


def remove_replication(run: Run, spec: Spec, found: Sequence[StoreFacts]) -> tuple[Problem, ...]:
    """Has the registry copy no more what the spec had it copy; others' rules stay, and so do all images."""
    copies = {each.region for each in registries.copies(spec)}
    homes = [each for each in found if each.cloud == "aws" and each.region not in copies] if copies else []
    copying = [each for each in homes if registries.own_copies(each)]
    hosts = [_registry_host(each, _module(each).removal_variables(each)) for each in copying]
    unread = [replace(each.problem, key="image.replicate") for each in homes if each.problem]
    return (*unread, *play(run, "remove.yml", hosts).problems)


def _module(found: StoreFacts) -> Any:
    return import_module(
        {"aws": "arriero.clouds.aws.repository", "azure": "arriero.clouds.azure.registry"}[found.cloud]
    )


def _registry_host(found: StoreFacts, variables: Mapping[str, Json]) -> SiteHost:
    name = ".".join(filter(None, ("registry", found.cloud, found.region)))
    part = {**variables, "arriero_part": "registry"}
    return SiteHost(name, found.cloud, found.region, "active", part, group="stores")


def front_door_host(spec: Spec, facts: Facts, coming: Collection[str] | None = None) -> SiteHost | None:
    """The Front Door as Ansible sees it; None where none is asked for, or it can't be read or become what is. `coming`
    are the sites whose load balancers are made before it is, as `front_door.plan` takes them.
    """
    planned = front_door.plan(spec, facts, coming)
    if planned is None or planned.problem:
        return None
    variables = import_module("arriero.clouds.azure.front_door_variables").variables(spec, facts, planned)
    return SiteHost(NAME, planned.cloud, planned.region, "active", variables, group="doors")


def host(spec: Spec, store: StoreFacts) -> SiteHost:
    """The store as Ansible sees it; no site's name has a dot."""
    cloud = f"arriero.clouds.{store.cloud}"
    variables = import_module(f"{cloud}.ledger").store_variables(spec.name, store)
    patience = import_module(f"{cloud}.patience").PATIENCE.variables(int(spec.deploy.ready_within))
    all_variables = {**variables, **patience, "arriero_part": "ledger"}
    return SiteHost(f"ledger.{store.cloud}", store.cloud, store.region, "active", all_variables, group="stores")
