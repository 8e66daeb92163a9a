"""Makes and removes the ledger's stores, by the roles `aws_ledger` and `azure_ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from arriero.deploy.engine import Run, play
from arriero.deploy.workspace import SiteHost
from arriero.errors import Problem
from arriero.plan.model import StoreFacts
from arriero.spec.model import Spec


def make_stores(run: Run, spec: Spec, found: Sequence[StoreFacts]) -> tuple[Problem, ...]:
    """Makes them side by side; returns what went wrong, a problem a store."""
    return play(run, "site.yml", [host(spec.name, store) for store in found]).problems


def remove_stores(run: Run, spec: Spec, found: Sequence[StoreFacts]) -> tuple[Problem, ...]:
    """Removes them with all that was recorded there."""
    return play(run, "remove.yml", [host(spec.name, store) for store in found]).problems


def host(service: str, store: StoreFacts) -> SiteHost:
    """The store as Ansible sees it; no site's name has a dot."""
    variables = import_module(f"arriero.clouds.{store.cloud}.ledger").store_variables(service, store)
    all_variables = {**variables, "arriero_part": "ledger"}
    return SiteHost(f"ledger.{store.cloud}", store.cloud, store.region, "active", all_variables, group="stores")
