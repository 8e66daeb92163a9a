"""What plain `ansible-playbook` sees: every site and every target, from the spec and from what runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from arriero.clouds import read, registry
from arriero.clouds.endpoints import Endpoints
from arriero.deploy import credentials, rolling_back
from arriero.deploy.engine import variables_of
from arriero.deploy.workspace import SiteHost, group_name
from arriero.errors import Problem, Refused
from arriero.events import Json
from arriero.plan import place
from arriero.plan.model import Facts, Plan, SiteFacts, SitePlan, Step, TargetFacts
from arriero.plan.order import RETIRE
from arriero.releases import opening
from arriero.spec import load
from arriero.spec.model import Spec

# Set by `arriero env`: the account in each cloud that this environment must lead to, as JSON.
ACCOUNTS = "ARRIERO_ACCOUNTS"


@dataclass(frozen=True, slots=True)
class FleetHost:
    """One host of the inventory: a site, or a target named `<site>.<target id>`."""

    name: str
    groups: tuple[str, ...]
    variables: Mapping[str, Json] = field(default_factory=dict)


def inventory(
    spec_path: Path, overlay: str | None, environment: Mapping[str, str], back_to: str = ""
) -> tuple[FleetHost, ...]:
    """Reads all sites side by side and plans them; a site that can't be read has `arriero_problem` and no more.

    With `back_to` (a number, or `stable`) they are planned as that release was, as `arriero rollback` does.
    The clouds are spoken to as the process's own environment says. Raises SpecError, and Refused where the credentials
    lead to another account than the pinned one, or there is no way back.
    """
    spec = load.load(spec_path, overlay, environment).spec
    if spec.rehearse != "always" and ACCOUNTS not in environment:
        credentials.refuse_unopened(spec, spec_path.parent, environment)
    accounts = read.check_accounts(spec, _endpoints(spec, spec_path, environment))
    facts = read.read(spec)
    spec, planned = _way_back(spec, facts, accounts, back_to) if back_to else (spec, place.plan(spec, facts))
    sites = [_site(spec, site, facts.sites[site.site]) for site in planned.sites]
    targets = [_target(spec, found, target) for found in facts.sites.values() for target in found.targets]
    return (*sites, *targets)


def _way_back(spec: Spec, facts: Facts, accounts: Mapping[str, str], back_to: str) -> tuple[Spec, Plan]:
    books = opening.read(spec, accounts).ledger
    way = rolling_back.found(books, back_to, None, spec)
    rolling_back.refuse_what_cannot_be(way, facts, None, registry.gone)
    return way.spec, way.plan(facts, None)


def all_steps(site: SitePlan) -> SitePlan:
    """The plan with every step of its role, needed or not: plain Ansible lets its modules find out what is to do."""
    needed = {step.name: step for step in site.steps}
    names = dict.fromkeys(place.wanted_of(site.cloud).KINDS.values())
    steps = [needed.get(name, Step(site.site, name, ())) for name in names]
    return replace(site, steps=(*steps, *(needed[name] for name in [RETIRE] if name in needed)))


def _endpoints(spec: Spec, path: Path, environment: Mapping[str, str]) -> Endpoints:
    pinned = environment.get(ACCOUNTS)
    if pinned is None and spec.rehearse == "always":
        problem = Problem("this spec may not touch real accounts", 'run first: eval "$(arriero env)"', file=str(path))
        raise Refused(problem)
    return Endpoints("this environment", environment, json.loads(pinned or "{}"))


def _site(spec: Spec, site: SitePlan, found: SiteFacts) -> FleetHost:
    variables: Mapping[str, Json]
    if site.problem:
        variables = {"arriero_problem": str(site.problem)}
    else:
        variables = variables_of(site.cloud).site_variables(spec.site(site.site), all_steps(site), found)
    host = SiteHost(site.site, found.cloud, found.region, spec.sites[site.site].role, variables)
    recorded = place.recorded(found)
    return FleetHost(host.name, (*host.groups, *_release(recorded.release if recorded else None)), host.all_variables)


def _target(spec: Spec, found: SiteFacts, target: TargetFacts) -> FleetHost:
    address, _, port = target.address.rpartition(":")
    variables: dict[str, Json] = {
        "ansible_host": address,
        "arriero_site": found.site,
        "arriero_target": target.id,
        "arriero_port": int(port) if port.isdecimal() else None,
        "arriero_state": target.state,
        "arriero_release": target.release,
    }
    region = (f"region_{group_name(found.region)}",) if found.region else ()
    groups = ("targets", found.cloud, f"role_{spec.sites[found.site].role}", *region, *_release(target.release))
    return FleetHost(f"{found.site}.{target.id}", groups, variables)


def _release(number: int | None) -> tuple[str, ...]:
    return () if number is None else (f"release_{number}",)
