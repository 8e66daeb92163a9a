"""Makes and removes the ledger's stores, by the roles `aws_ledger` and `azure_ledger`; and the rules of registries."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from arriero.deploy.engine import Run, play
from arriero.deploy.workspace import SiteHost
from arriero.errors import Problem
from arriero.plan.model import Facts, Plan, StoreFacts
from arriero.spec.model import Spec


def make_stores(run: Run, spec: Spec, found: Sequence[StoreFacts]) -> tuple[Problem, ...]:
    """Makes them side by side; returns what went wrong, a problem a store."""
    return play(run, "every_site.yml", [host(spec, store) for store in found]).problems


def remove_stores(run: Run, spec: Spec, found: Sequence[StoreFacts]) -> tuple[Problem, ...]:
    """Removes them with all that was recorded there."""
    return play(run, "remove.yml", [host(spec, store) for store in found]).problems


def registry_hosts(spec: Spec, facts: Facts, plan: Plan) -> list[SiteHost]:
    """The registries of the images whose rules are to be set."""
    changing = {each.cloud for each in plan.registries if each.changes}
    return [_registry_host(spec, found) for found in facts.registries if found.cloud in changing]


def _registry_host(spec: Spec, found: StoreFacts) -> SiteHost:
    module = {"aws": "arriero.clouds.aws.repository", "azure": "arriero.clouds.azure.registry"}[found.cloud]
    part = {**import_module(module).variables(spec, found), "arriero_part": "registry"}
    return SiteHost(f"registry.{found.cloud}", found.cloud, found.region, "active", part, group="stores")


def host(spec: Spec, store: StoreFacts) -> SiteHost:
    """The store as Ansible sees it; no site's name has a dot."""
    cloud = f"arriero.clouds.{store.cloud}"
    variables = import_module(f"{cloud}.ledger").store_variables(spec.name, store)
    patience = import_module(f"{cloud}.patience").PATIENCE.variables(int(spec.deploy.ready_within))
    all_variables = {**variables, **patience, "arriero_part": "ledger"}
    return SiteHost(f"ledger.{store.cloud}", store.cloud, store.region, "active", all_variables, group="stores")
