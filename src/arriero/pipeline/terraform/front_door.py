"""A service's Front Door in the words of the provider hashicorp/azurerm.

Sites and it need each other, and one `terraform apply` makes both: load balancers get its id from its profile, and its
origins get from load balancers where they are. So they stand in one module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from arriero.pipeline.terraform.hcl import Blocks, Body, Raw, identifier
from arriero.pipeline.terraform.piece import Piece
from arriero.plan import front_door as wish
from arriero.plan import front_door_names as names
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.spec.model import Spec

LABEL = "front_door"  # no site can have it: none may be called `front-door`
_OF = "azurerm_cdn_frontdoor_"
ID = Raw(f"{_OF}profile.{LABEL}.resource_guid")
"""What it says in `X-Azure-FDID`."""
ROUTE_NOTE = "Azure keeps no cdn_frontdoor_origin_ids: after an import they are told as a change, and nothing changes."
GUIDE = """
## The Front Door

It and the sites are one module, for each needs the other: its id stands in the rules of load balancers and in the
settings of edges at Azure, and where those are stands in its origins. Of a rule that somebody adds to a listener, and
that leads past it, Terraform knows nothing: `arriero plan` and `arriero check` tell it, also where Terraform owns the
rest. Names of yours need records in your DNS, which `arriero status` tells, whoever made them.
"""


@dataclass(frozen=True, slots=True)
class Door:
    """What stands of it; `hosts` tells by site where it leads to, as Terraform will know it."""

    spec: Spec
    found: SiteFacts
    hosts: Mapping[str, Raw]

    def imported(self, resource: Resource, *path: str) -> Mapping[str, str]:
        """By the id as azurerm takes it, letter by letter: Azure itself writes some of its words small, too."""
        if not self.found.find(resource.kind, resource.name):
            return {}
        group = f"/subscriptions/{self.found.account}/resourceGroups/{wish.group_name(self.spec.name)}"
        profile = f"providers/Microsoft.Cdn/profiles/{self.spec.name}"
        return {"": "/".join((group, *([profile] if resource.kind != wish.GROUP else []), *path))}


def pieces(spec: Spec, facts: Facts, found: SiteFacts, hosts: Mapping[str, Raw]) -> tuple[Piece, ...]:
    """Nothing where the spec asks for none."""
    door = Door(spec, found, hosts)
    return tuple(MAKERS[resource.kind](door, resource) for resource in wish.wanted(spec, facts))


def _group(door: Door, group: Resource) -> Piece:
    body: Body = {"name": group.name, "location": str(group.properties["location"]), "tags": dict(group.tags)}
    return Piece("azurerm_resource_group", LABEL, body, door.imported(group))


def _profile(door: Door, profile: Resource) -> Piece:
    asked = cast("Mapping[str, Any]", profile.properties)
    body: Body = {
        "name": profile.name,
        "resource_group_name": Raw(f"azurerm_resource_group.{LABEL}.name"),
        "sku_name": asked["sku"],
        "response_timeout_seconds": asked["response_seconds"],
        "tags": asked["tags"],
    }
    return Piece(f"{_OF}profile", LABEL, body, door.imported(profile))


def _endpoint(door: Door, endpoint: Resource) -> Piece:
    enabled = bool(endpoint.properties["enabled"])
    body: Body = {"name": endpoint.name, "cdn_frontdoor_profile_id": _id("profile"), "enabled": enabled}
    return Piece(f"{_OF}endpoint", LABEL, body, door.imported(endpoint, "afdEndpoints", endpoint.name))


def _name(door: Door, name: Resource) -> Piece:
    """Terraform goes on before the DNS proves it, as a deployment does."""
    tls: Body = {
        "certificate_type": str(name.properties["certificate"]),
        "minimum_tls_version": str(name.properties["least_tls"]),
    }
    standing = door.found.find(name.kind, name.name)
    kept = standing.id.rpartition("/")[2] if standing else names.resource_name(name.name)
    body: Body = {
        "name": kept,
        "cdn_frontdoor_profile_id": _id("profile"),
        "host_name": name.name,
        "tls": Blocks((tls,)),
    }
    return Piece(f"{_OF}custom_domain", _label(name.name), body, door.imported(name, "customDomains", kept))


def _firewall(door: Door, firewall: Resource) -> Piece:
    """azurerm reads the words of an id letter by letter."""
    asked = door.spec.ingress.front_door
    parts = str(asked.web_application_firewall if asked else "").split("/")
    parts[3], parts[-2] = "resourceGroups", "frontDoorWebApplicationFirewallPolicies"
    before = cast("tuple[str, ...]", firewall.properties["before"])
    ids = [_id("endpoint") if each == wish.OWN_NAME else _name_id(each) for each in before]
    association: Body = {
        "domain": Blocks(tuple({"cdn_frontdoor_domain_id": each} for each in ids)),
        "patterns_to_match": list(cast("tuple[str, ...]", firewall.properties["patterns"])),
    }
    inner: Body = {"cdn_frontdoor_firewall_policy_id": "/".join(parts), "association": Blocks((association,))}
    body: Body = {
        "name": firewall.name,
        "cdn_frontdoor_profile_id": _id("profile"),
        "security_policies": Blocks(({"firewall": Blocks((inner,))},)),
    }
    path = ("securityPolicies", firewall.name)
    return Piece(f"{_OF}security_policy", LABEL, body, door.imported(firewall, *path))


def _origins(door: Door, group: Resource) -> Piece:
    asked = cast("Mapping[str, Any]", group.properties)
    probe, samples = asked["probe"], asked["samples"]
    asks: Body = {
        "path": probe["path"],
        "protocol": probe["protocol"],
        "request_type": probe["request"],
        "interval_in_seconds": probe["interval"],
    }
    judges: Body = {
        "sample_size": samples["size"],
        "successful_samples_required": samples["successful"],
        "additional_latency_in_milliseconds": samples["latency_ms"],
    }
    body: Body = {
        "name": group.name,
        "cdn_frontdoor_profile_id": _id("profile"),
        "session_affinity_enabled": asked["is_sticky"],
        "health_probe": Blocks((asks,)),
        "load_balancing": Blocks((judges,)),
    }
    return Piece(f"{_OF}origin_group", LABEL, body, door.imported(group, "originGroups", group.name))


def _origin(door: Door, origin: Resource) -> Piece:
    """Where names are compared, it is asked under the name by which it is reached."""
    asked, host = cast("Mapping[str, Any]", origin.properties), door.hosts[origin.name]
    body: Body = {
        "name": origin.name,
        "cdn_frontdoor_origin_group_id": _id("origin_group"),
        "host_name": host,
        "origin_host_header": host if asked["checks_name"] else asked["host_header"],
        "certificate_name_check_enabled": asked["checks_name"],
        "https_port": asked["port"],
        "priority": asked["priority"],
        "weight": asked["weight"],
        "enabled": asked["enabled"],
    }
    path = ("originGroups", wish.GROUP_OF_ORIGINS, "origins", origin.name)
    return Piece(f"{_OF}origin", identifier(origin.name), body, door.imported(origin, *path))


def _route(door: Door, route: Resource) -> Piece:
    """Without a `cache`, it keeps nothing. Nobody comes through it past a firewall."""
    asked = cast("Mapping[str, Any]", route.properties)
    own: Body = {"cdn_frontdoor_custom_domain_ids": [_name_id(each) for each in asked["names"]]}
    wanted = door.spec.ingress.front_door
    guard: Body = {"depends_on": [Raw(f"{_OF}security_policy.{LABEL}")]}
    body: Body = {
        "name": route.name,
        "cdn_frontdoor_endpoint_id": _id("endpoint"),
        "cdn_frontdoor_origin_group_id": _id("origin_group"),
        "cdn_frontdoor_origin_ids": [Raw(f"{_OF}origin.{identifier(name)}.id") for name in door.hosts],
        "patterns_to_match": list(asked["patterns"]),
        "supported_protocols": list(asked["protocols"]),
        "https_redirect_enabled": asked["redirects"],
        "forwarding_protocol": asked["forwards"],
        "link_to_default_domain": asked["is_default"],
        "enabled": asked["enabled"],
        **(own if asked["names"] else {}),
        **(guard if wanted and wanted.web_application_firewall else {}),
    }
    path = ("afdEndpoints", door.spec.name, "routes", route.name)
    return Piece(f"{_OF}route", LABEL, body, door.imported(route, *path), ROUTE_NOTE)


def _id(kind: str) -> Raw:
    return Raw(f"{_OF}{kind}.{LABEL}.id")


def _label(host: str) -> str:
    """A different one for each name, which may begin with a digit."""
    return f"name_{identifier(names.resource_name(host))}"


def _name_id(host: str) -> Raw:
    return Raw(f"{_OF}custom_domain.{_label(host)}.id")


MAKERS: Mapping[str, Callable[[Door, Resource], Piece]] = {
    wish.GROUP: _group,
    wish.PROFILE: _profile,
    wish.ENDPOINT: _endpoint,
    names.KIND: _name,
    wish.FIREWALL: _firewall,
    wish.ORIGINS: _origins,
    wish.ORIGIN: _origin,
    wish.ROUTE: _route,
}
