"""What the role `azure_front_door` needs to make a service's Front Door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from arriero.clouds.azure.network import last
from arriero.clouds.azure.patience import PATIENCE
from arriero.events import Json
from arriero.plan import front_door as wish
from arriero.plan import front_door_names as names
from arriero.plan.model import Facts, Resource, StorePlan
from arriero.spec.model import Spec

_LEAST_WAIT_SECONDS = 600  # Azure makes a profile in minutes


def variables(spec: Spec, facts: Facts, planned: StorePlan) -> dict[str, Json]:
    """What the role needs; origins as far as it is known where they are."""
    wanted = wish.wanted(spec, facts)
    profile, origins = _one(wanted, wish.PROFILE), _one(wanted, wish.ORIGINS)
    known = {name.host: last(name.resource) for name in names.standing(facts.front_door)}
    replaced = [change.name for change in planned.changes if change.kind == wish.ROUTE and change.action == "replace"]
    return {
        "azure_front_door_group": wish.group_name(spec.name),
        "azure_front_door_location": planned.region,
        "azure_front_door_tags": dict(wish.tags(spec.name)),
        "azure_front_door_name": spec.name,
        "azure_front_door_sku": _text(profile, "sku"),
        "azure_front_door_response_seconds": cast(int, profile.properties["response_seconds"]),
        "azure_front_door_origin_group": origins.name,
        "azure_front_door_probe": cast("dict[str, Json]", dict(wish.PROBE)),
        "azure_front_door_samples": cast("dict[str, Json]", dict(wish.SAMPLES)),
        "azure_front_door_origins": [_origin(each) for each in wanted if each.kind == wish.ORIGIN],
        "azure_front_door_origins_gone": list(_gone(planned, wish.ORIGIN)),
        "azure_front_door_hosts": [
            {"host": each.name, "name": _kept_as(each.name, known)} for each in wanted if each.kind == names.KIND
        ],
        "azure_front_door_hosts_gone": [known[host] for host in _gone(planned, names.KIND)],
        "azure_front_door_firewalls": _firewalls(wanted, planned, facts, known),
        "azure_front_door_firewalls_gone": list(_gone(planned, wish.FIREWALL)),
        "azure_front_door_route": wish.ROUTE_NAME,
        "azure_front_door_routes_replaced": list(replaced),
        "azure_front_door_seconds": max(_LEAST_WAIT_SECONDS, int(spec.deploy.ready_within)),
        **PATIENCE.variables(int(spec.deploy.ready_within)),
    }


def _gone(planned: StorePlan, kind: str) -> list[str]:
    return [change.name for change in planned.changes if change.kind == kind and change.action == "remove"]


def _kept_as(host: str, known: Mapping[str, str]) -> str:
    return known.get(host) or names.resource_name(host)


def _firewalls(wanted: tuple[Resource, ...], planned: StorePlan, facts: Facts, known: Mapping[str, str]) -> list[Json]:
    """Only where it is to be made or changed: Azure adds to lists, and a module would put it each time."""
    changed = any(change.kind == wish.FIREWALL and change.action != "remove" for change in planned.changes)
    account = facts.front_door.account if facts.front_door else ""
    inside = (
        f"/subscriptions/{account}/resourceGroups/{wish.group_name(facts.service)}"
        f"/providers/Microsoft.Cdn/profiles/{facts.service}"
    )
    return [_firewall(each, inside, known) for each in wanted if each.kind == wish.FIREWALL and changed]


def _firewall(firewall: Resource, inside: str, known: Mapping[str, str]) -> Json:
    """In Resource Manager's own words: Ansible has no module for it."""
    before = cast("tuple[str, ...]", firewall.properties["before"])
    paths = [f"customDomains/{_kept_as(host, known)}" for host in before if host != wish.OWN_NAME]
    domains: list[Json] = [{"id": f"{inside}/{path}"} for path in (*paths, f"afdEndpoints/{last(inside)}")]
    patterns: list[Json] = list(cast("tuple[str, ...]", firewall.properties["patterns"]))
    parameters: dict[str, Json] = {
        "type": "WebApplicationFirewall",
        "wafPolicy": {"id": _text(firewall, "policy")},
        "associations": [{"domains": domains, "patternsToMatch": patterns}],
    }
    return {"name": firewall.name, "parameters": parameters}


def _origin(origin: Resource) -> Json:
    """`host` is empty where no load balancer or edge stands yet, and plain Ansible has just made it; so is
    `host_header` where that is the same.
    """
    properties = origin.properties
    return {
        "site": origin.name,
        "host": str(properties.get("host", "")),
        "host_header": str(properties.get("host_header", "")),
        "checks_name": bool(properties["checks_name"]),
        "port": cast(int, properties["port"]),
        "priority": cast(int, properties["priority"]),
        "weight": cast(int, properties["weight"]),
    }


def _one(wanted: tuple[Resource, ...], kind: str) -> Resource:
    return next(each for each in wanted if each.kind == kind)


def _text(resource: Resource, name: str) -> str:
    return str(resource.properties[name])
