"""From Resource Manager's JSON to the plan's words: resource group, security group, address, NAT gateway, network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted.azure import SUBNET
from arriero.plan.wanted.azure_apps import is_delegated
from arriero.plan.wanted.azure_spares import KEPT, KEPT_TAG

Found = Mapping[str, Any]
Stands = Literal["groups", "apps", "machines", ""]

GROUPS_VERSION = "2022-09-01"
NETWORK_VERSION = "2024-03-01"


def resource_group(item: Found, ref: SiteRef) -> Resource:
    """`details.ours` tells whether we made it: it carries our tags. One that we did not make is never deleted. A tag
    says that spares may be kept for the site.
    """
    tags = dict(item.get("tags") or {})
    ours = tags.get(SERVICE_TAG) == ref.service and tags.get(SITE_TAG) == ref.site
    kept = {"spares": KEPT} if tags.get(KEPT_TAG) == KEPT else {}
    return _resource("azure.resource_group", item, {"location": item["location"].lower(), **kept}, {"ours": ours})


def security_group(item: Found) -> Resource:
    rules = {rule["name"]: _rule(rule["properties"]) for rule in item["properties"].get("securityRules") or ()}
    return _resource("azure.network_security_group", item, {"rules": rules})


def public_ip(item: Found) -> Resource:
    properties = item["properties"]
    values = {
        "allocation": str(properties.get("publicIPAllocationMethod", "")).lower(),
        "sku": (item.get("sku") or {}).get("name"),
    }
    return _resource("azure.public_ip", item, values, {"address": properties.get("ipAddress", "")})


def nat_gateway(item: Found) -> Resource:
    addresses = sorted(last(each["id"]) for each in item["properties"].get("publicIpAddresses") or ())
    return _resource("azure.nat_gateway", item, {"public_ips": tuple(addresses)})


def virtual_network(item: Found) -> Resource:
    """Only our own subnet is read: others may stand beside it, and are nobody's difference."""
    properties = item["properties"]
    subnet = next((s for s in properties.get("subnets") or () if s["name"] == SUBNET), None)
    values: Mapping[str, Value] = {
        "address_prefixes": tuple(sorted((properties.get("addressSpace") or {}).get("addressPrefixes") or ())),
        "subnet": _subnet(subnet["properties"]) if subnet else None,
    }
    return _resource("azure.virtual_network", item, values)


def stands_for(item: Found | None) -> Stands:
    """What the site's network is made for, as far as it tells: by whom the subnet is given to, or by what stands in it
    where it is given to nobody.
    """
    subnets = ((item or {}).get("properties") or {}).get("subnets") or ()
    own: Found = next((each["properties"] for each in subnets if each["name"] == SUBNET), {})
    if given := [str(each["properties"].get("serviceName")) for each in own.get("delegations") or ()]:
        return "apps" if is_delegated(given) else "groups"
    inside = (str(each.get("id", "")).lower() for each in own.get("ipConfigurations") or ())
    return "machines" if any("/networkinterfaces/" in each for each in inside) else ""


def last(resource_id: str) -> str:
    """The name at the end of a resource id."""
    return resource_id.rstrip("/").rsplit("/", 1)[-1]


def prefix(subnet: Found) -> str | None:
    """The range of a subnet, by its properties; of several the first."""
    prefixes = subnet.get("addressPrefixes") or [subnet.get("addressPrefix")]
    found: str | None = prefixes[0]
    return found


def _subnet(properties: Found) -> Mapping[str, Value]:
    services = (each["properties"].get("serviceName") for each in properties.get("delegations") or ())
    return {
        "prefix": prefix(properties),
        "security_group": _name_of(properties.get("networkSecurityGroup")),
        "nat_gateway": _name_of(properties.get("natGateway")),
        "delegations": tuple(sorted(str(service) for service in services)),
    }


def _rule(rule: Found) -> str:
    """`100 inbound allow tcp from 10.64.0.0/16 to *:11434`. One or many: Azure has a field of its own for each."""
    sources = _one_or_many(rule, "sourceAddressPrefix", "sourceAddressPrefixes")
    targets = _one_or_many(rule, "destinationAddressPrefix", "destinationAddressPrefixes")
    ports = _one_or_many(rule, "destinationPortRange", "destinationPortRanges")
    what = f"{rule['direction']} {rule['access']} {rule['protocol']}".lower()
    return f"{rule['priority']} {what} from {sources} to {targets}:{ports}"


def _one_or_many(rule: Found, one: str, many: str) -> str:
    values = {*(rule.get(many) or ()), *([rule[one]] if rule.get(one) else ())}
    return ",".join(sorted(map(str, values)))


def _name_of(reference: Found | None) -> str | None:
    return last(reference["id"]) if reference else None


def _resource(
    kind: str, item: Found, properties: Mapping[str, Value], details: Mapping[str, Value] | None = None
) -> Resource:
    return Resource(kind, item["name"], properties, item["id"], dict(item.get("tags") or {}), dict(details or {}))
