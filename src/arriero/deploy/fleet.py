"""What plain `ansible-playbook` sees: every site and every target, from the spec and from what runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from arriero.clouds import read, registry
from arriero.clouds.endpoints import Endpoints
from arriero.deploy import credentials, making, rolling_back
from arriero.deploy.engine import variables_of
from arriero.deploy.plain.book import Book
from arriero.deploy.rolling_back import Return
from arriero.deploy.workspace import SiteHost, group_name
from arriero.errors import Problem, Refused
from arriero.events import Json
from arriero.plan import place, roles
from arriero.plan.model import Facts, Plan, SiteFacts, SitePlan, Step, TargetFacts
from arriero.plan.order import RETIRE
from arriero.plan.roles import RoleOrder
from arriero.releases import opening
from arriero.releases.opening import Opened
from arriero.spec import load
from arriero.spec.front_door import NAME
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
    world = read_world(spec_path, overlay, environment, back_to)
    spec, planned, facts = world.spec, world.plan, world.facts
    book = Book(
        str(spec_path.absolute()), overlay, back_to, planned.release, world.opened.epoch, world.opened.head.last
    ).as_json()
    sites = [_site(spec, site, facts.sites[site.site], book) for site in planned.sites]
    targets = [_target(spec, found, target) for found in facts.sites.values() for target in found.targets]
    return (*_stores(world), *_doors(world), *sites, *targets)


@dataclass(frozen=True, slots=True)
class World:
    """What was read for a playbook, and the plan that it leads to; `way` is the way back, if one is asked for;
    `written` is the spec without roles that were ordered since.
    """

    spec: Spec
    accounts: Mapping[str, str]
    opened: Opened
    facts: Facts
    plan: Plan
    way: Return | None = None
    written: Spec | None = None

    def again(self, facts: Facts, only: Collection[str]) -> Plan:
        """The plan by other facts, at some sites."""
        return self.way.plan(facts, only) if self.way else place.plan(self.spec, facts, only)


def read_world(spec_path: Path, overlay: str | None, environment: Mapping[str, str], back_to: str = "") -> World:
    """Reads the sites and the ledger, and plans; raises as `inventory` does."""
    spec = load.load(spec_path, overlay, environment).spec
    if spec.rehearse != "always" and ACCOUNTS not in environment:
        credentials.refuse_unopened(spec, spec_path.parent, environment)
    accounts = read.check_accounts(spec, _endpoints(spec, spec_path, environment))
    opened = opening.read(spec, accounts)
    found = read.image_registries(spec, accounts)
    order = opened.roles or RoleOrder()
    ordered = roles.standing(spec, order)
    facts = replace(read.read(spec), stores=opened.stores, last=opened.last, orders=opened.orders, registries=found)
    if not back_to:
        now = roles.applied(spec, order)
        return World(now, accounts, opened, facts, place.plan(now, facts), written=spec)
    way = rolling_back.with_roles(rolling_back.found(opened.ledger, back_to, None, spec), ordered)
    rolling_back.refuse_what_cannot_be(way, facts, None, registry.gone)
    facts = read.with_secrets(facts, way.spec)
    return World(way.spec, accounts, opened, facts, way.plan(facts, None), way, way.written)


def all_steps(site: SitePlan) -> SitePlan:
    """The plan with every step that makes what the site is to hold, needed or not: plain Ansible lets its modules find
    out what is to do. A step for what nobody asked for would make it.
    """
    needed = {step.name: step for step in site.steps}
    asked = {resource.kind for resource in site.wanted}
    kinds = place.wanted_of(site.cloud).KINDS
    names = dict.fromkeys(name for kind, name in kinds.items() if kind in asked or name in needed)
    steps = [needed.get(name, Step(site.site, name, ())) for name in names]
    return replace(site, steps=(*steps, *(needed[name] for name in [RETIRE] if name in needed)))


def _endpoints(spec: Spec, path: Path, environment: Mapping[str, str]) -> Endpoints:
    pinned = environment.get(ACCOUNTS)
    if pinned is None and spec.rehearse == "always":
        problem = Problem("this spec may not touch real accounts", 'run first: eval "$(arriero env)"', file=str(path))
        raise Refused(problem)
    return Endpoints("this environment", environment, json.loads(pinned or "{}"))


def _stores(world: World) -> list[FleetHost]:
    """The ledger's stores and the images' registries that are not as they should be."""
    missing = [world.opened.stores[plan.cloud] for plan in world.plan.stores if plan.changes]
    hosts = [making.host(world.spec, store) for store in missing]
    hosts += making.registry_hosts(world.spec, world.facts, world.plan)
    return [FleetHost(host.name, host.groups, host.all_variables) for host in hosts]


def _doors(world: World) -> list[FleetHost]:
    """The Front Door, with all that it should be; where that can't be, why."""
    planned, host = world.plan.front_door, making.front_door_host(world.spec, world.facts)
    if host:
        return [FleetHost(host.name, host.groups, host.all_variables)]
    if planned and planned.problem:
        return [FleetHost(NAME, ("doors",), {"arriero_problem": str(planned.problem)})]
    return []


def _site(spec: Spec, site: SitePlan, found: SiteFacts, book: Mapping[str, Json]) -> FleetHost:
    variables: Mapping[str, Json]
    if site.problem:
        variables = {"arriero_problem": str(site.problem)}
    else:
        variables = variables_of(site.cloud).site_variables(spec.site(site.site), all_steps(site), found)
    host = SiteHost(site.site, found.cloud, found.region, spec.sites[site.site].role, variables)
    recorded = place.recorded(found)
    return FleetHost(
        host.name,
        (*host.groups, *_release(recorded.release if recorded else None)),
        {**host.all_variables, "arriero_book": dict(book)},
    )


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
