"""Azure Front Door before the load balancers of a service's AWS sites and the edges of its Azure sites, pure: what it
should be, and what that takes.

It belongs to the service and to no site. Its resource group carries the tags of a site `front-door`, so that one that
the spec no longer asks for is found, and removed, as a site that left it. What it leads to is known once load balancers
and edges stand: so it is planned and made twice in a deployment, before the sites for the id that they are to answer,
and after them for where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from arriero.errors import Problem
from arriero.plan import front_door_names as names
from arriero.plan.compare import compare
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Change, Facts, Resource, SiteFacts, StorePlan, Value
from arriero.plan.wanted import aws_alb, azure_edges
from arriero.spec.front_door import AT, NAME, behind, region_of
from arriero.spec.ingress import FrontDoor
from arriero.spec.model import Spec

GROUP, PROFILE, ENDPOINT = "azure.resource_group", "azure.front_door", names.ENDPOINT
FIREWALL = "azure.front_door_firewall"
ORIGINS, ORIGIN, ROUTE = "azure.origin_group", "azure.origin", "azure.route"
# The module can put a cache before the answers, and can't take one away.
IMMUTABLE: Mapping[str, tuple[str, ...]] = {ROUTE: ("caches",)}
SKUS = {"standard": "Standard_AzureFrontDoor", "premium": "Premium_AzureFrontDoor"}
GROUP_OF_ORIGINS, ROUTE_NAME, FIREWALL_NAME = "sites", "everything", "arriero"
# Among what a firewall stands before: the name that Azure gave.
OWN_NAME = "its own name"
PRIORITIES = {"active": 1, "standby": 2}
WEIGHT = 500
# Each of Azure's places asks for itself. A site that two of the last four questions found ill gets no more requests.
PROBE: Mapping[str, Value] = {"path": aws_alb.READY, "protocol": "Https", "request": "GET", "interval": 30}
SAMPLES: Mapping[str, Value] = {"size": 4, "successful": 3, "latency_ms": 50}


def group_name(service: str) -> str:
    return f"{service}-{NAME}"


def tags(service: str) -> dict[str, str]:
    return {SERVICE_TAG: service, SITE_TAG: NAME}


def plan(spec: Spec, facts: Facts, coming: Collection[str] | None = None) -> StorePlan | None:
    """What it takes; None where nobody asks for one. `coming` are the sites whose load balancers or edges stand when
    it is done, besides those that stand now: all of them by default. It is not led to others.
    """
    door, found = spec.ingress.front_door, facts.front_door
    if door is None or found is None or not behind(spec):
        return None
    planned = StorePlan("azure", spec.name, region_of(spec), problem=found.problem)
    if found.problem:
        return planned
    if problem := _fixed(spec, door, found):
        return replace(planned, problem=problem)
    wish = wanted(spec, facts)
    known = {each.name for each in wish if each.kind == ORIGIN and "host" in each.properties}
    led = known | set(spec.sites if coming is None else coming) & {each.name for each in wish if each.kind == ORIGIN}
    left = {each.name: names.GONE for each in found.resources if each.kind == names.KIND}
    changes = compare(NAME, wish, found.resources, IMMUTABLE, left)
    waiting = tuple(change for change in changes if _waits(change, led))
    return replace(
        planned,
        changes=tuple(change for change in changes if change not in waiting),
        notes=(*_why_they_wait(waiting), *names.notes(door, found)),
    )


def wanted(spec: Spec, facts: Facts) -> tuple[Resource, ...]:
    """The whole wish: nothing where the spec asks for none."""
    door = spec.ingress.front_door
    if door is None or not behind(spec):
        return ()
    whole: dict[str, Value] = {"sku": SKUS[door.sku], "response_seconds": int(door.response_timeout)}
    return (
        Resource(GROUP, group_name(spec.name), {"location": region_of(spec)}, tags=tags(spec.name)),
        Resource(PROFILE, spec.name, {**whole, "tags": dict(tags(spec.name))}, tags=tags(spec.name)),
        Resource(ENDPOINT, spec.name, {"enabled": True}),
        *names.wanted(door),
        *_firewall(door),
        Resource(ORIGINS, GROUP_OF_ORIGINS, {"probe": PROBE, "samples": SAMPLES, "is_sticky": False}),
        *_origins(spec, facts),
        Resource(ROUTE, ROUTE_NAME, _route(door)),
    )


def id_of(found: SiteFacts | None) -> str:
    """What it says in X-Azure-FDID; empty where it is not there."""
    profile = found.find(PROFILE) if found else None
    return str(profile.details["id"]) if profile else ""


def host_of(found: SiteFacts | None) -> str:
    """Where clients reach it; empty where it is not there."""
    endpoint = found.find(ENDPOINT) if found else None
    return str(endpoint.details["host"]) if endpoint else ""


def outside(spec: Spec) -> tuple[str, ...]:
    """The sites that are not behind it."""
    inside = behind(spec)
    return tuple(name for name in spec.sites if name not in inside)


def notes(spec: Spec) -> tuple[str, ...]:
    """What a plan says about it."""
    door = spec.ingress.front_door
    if door is None or not behind(spec):
        return ()
    said = []
    if spec.ingress.alb:
        what = "load balancers have no certificate for the names that AWS gives them"
        said.append(f"{what}, so Front Door does not compare names")
    if left := outside(spec):
        what = "is" if len(left) == 1 else "are"
        said.append(f"{', '.join(left)} {what} not behind it: no load balancer or edge is there for it to lead to")
    longest = int(spec.gateway.limits.queue_within) + int(spec.gateway.limits.first_byte_within)
    if longest > door.response_timeout:
        said.append(
            f"an answer may take {longest}s to begin by gateway.limits, and Front Door waits {door.response_timeout}: "
            "clients that may wait longer stream, and say X-Arriero-Warming: events"
        )
    return tuple(said)


def _waits(change: Change, led: Collection[str]) -> bool:
    """An origin needs a load balancer or edges, and a route an origin."""
    if change.action == "remove":
        return False
    return change.name not in led if change.kind == ORIGIN else change.kind == ROUTE and not led


def _why_they_wait(waiting: tuple[Change, ...]) -> tuple[str, ...]:
    if not waiting:
        return ()
    names = ", ".join(f"{change.kind.partition('.')[2]} {change.name}" for change in waiting)
    sites = " and ".join(change.name for change in waiting if change.kind == ORIGIN) or "a site"
    why = "no load balancer or edge to lead to stands, or is made by this plan"
    return (f"not now: {names}; {why}: run `arriero up` for {sites}",)


def _fixed(spec: Spec, door: FrontDoor, found: SiteFacts) -> Problem | None:
    """What stands and can't become what is asked for."""
    profile, group = found.find(PROFILE), found.find(GROUP)
    if group and not group.details["ours"]:
        what = f"there is a resource group {group.name} already, which does not carry this service's tags"
        return Problem(what, "rename or remove it; nothing that is not arriero's is touched", AT)
    again = "put it back; or remove ingress.front_door, `arriero up`, and add it anew: its name and its id change"
    if profile and profile.properties["sku"] != SKUS[door.sku]:
        what = f"the Front Door is {profile.properties['sku']}, which is for good here"
        return Problem(what, again, f"{AT}.sku")
    if group and group.properties["location"] != region_of(spec):
        what = f"its resource group is in {group.properties['location']}, and Azure can't move it to {region_of(spec)}"
        return Problem(what, again, f"{AT}.region")
    return None


def _origins(spec: Spec, facts: Facts) -> Iterator[Resource]:
    """One a site; before its load balancer or its edges stand nobody knows their name."""
    for name in behind(spec):
        site, found = spec.sites[name], facts.sites.get(name)
        leads = _to_balancer(spec, found) if site.cloud == "aws" else _to_edges(found, f"{spec.name}-{name}")
        properties: dict[str, Value] = {
            "port": aws_alb.HTTPS,
            "priority": PRIORITIES[site.role],
            "weight": WEIGHT,
            "enabled": True,
        }
        yield Resource(ORIGIN, name, {**properties, **leads})


def _to_balancer(spec: Spec, found: SiteFacts | None) -> dict[str, Value]:
    assert spec.ingress.alb is not None
    balancer = found.find(aws_alb.BALANCER) if found else None
    host = {"host": balancer.details["dns_name"]} if balancer else {}
    return {"host_header": spec.ingress.alb.hosts[0], "checks_name": False, **host}


def _to_edges(found: SiteFacts | None, base: str) -> dict[str, Value]:
    """Azure has a certificate for the name that it gives them."""
    stands = found is not None and found.find(azure_edges.APP_KIND) is not None
    host = azure_edges.host(found, base) if stands else azure_edges.HOST_TO_COME
    known: dict[str, Value] = {} if host == azure_edges.HOST_TO_COME else {"host": host, "host_header": host}
    return {"checks_name": True, **known}


def _firewall(door: FrontDoor) -> Iterator[Resource]:
    """It stands before every name, as nobody is to come past it."""
    if policy := door.web_application_firewall:
        before: tuple[Value, ...] = (*sorted(door.hosts), OWN_NAME)
        yield Resource(FIREWALL, FIREWALL_NAME, {"policy": policy.lower(), "before": before, "patterns": ("/*",)})


def _route(door: FrontDoor) -> Mapping[str, Value]:
    return {
        "names": tuple(sorted(door.hosts)),
        "origins": GROUP_OF_ORIGINS,
        "patterns": ("/*",),
        "protocols": ("Http", "Https"),
        "redirects": True,
        "forwards": "HttpsOnly",
        "is_default": True,
        "caches": False,
        "enabled": True,
    }
