"""What Microsoft.Network adds to what was put, shows beside it, and refuses."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.state import State

# Children that a parent carries in its body: parent's type -> (property, child's type name).
EMBEDDED = {
    "microsoft.network/virtualnetworks": "subnets",
    "microsoft.network/networksecuritygroups": "securityRules",
    "microsoft.network/routetables": "routes",
}
_SUBNET = "microsoft.network/virtualnetworks/subnets"
_RULE = "microsoft.network/networksecuritygroups/securityrules"

# Who may refer to whom: property of the first -> (type, where the second shows it, what deleting the second answers).
_REFERENCES = {
    (_SUBNET, "networkSecurityGroup"): ("subnets", "InUseNetworkSecurityGroupCannotBeDeleted"),
    (_SUBNET, "natGateway"): ("subnets", "NatGatewayInUseBySubnet"),
    (_SUBNET, "routeTable"): ("subnets", "InUseRouteTableCannotBeDeleted"),
    ("microsoft.network/natgateways", "publicIpAddresses"): ("natGateway", "PublicIPAddressCannotBeDeleted"),
    ("microsoft.containerinstance/containergroups", "subnetIds"): ("", "InUseSubnetCannotBeDeleted"),
    ("microsoft.network/privateendpoints", "subnet"): ("privateEndpoints", "InUseSubnetCannotBeDeleted"),
}
_DEFAULT_RULES = (
    ("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    ("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
    ("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
    ("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
)


def prepare(state: State, resource: ResourceId, body: Document) -> None:
    """Checks the body against its neighbours and fills in what the service does; raises as the service answers."""
    kind, properties = resource.type.lower(), body.setdefault("properties", {})
    _check_references(state, resource, properties)
    if kind == _SUBNET:
        _prepare_subnet(state, resource, properties)
    elif kind == _RULE:
        _check_priority(state, resource, properties)
    elif kind == "microsoft.network/networksecuritygroups":
        properties["defaultSecurityRules"] = [_default_rule(resource, *rule) for rule in _DEFAULT_RULES]
    elif kind == "microsoft.network/natgateways":
        properties.setdefault("idleTimeoutInMinutes", 4)
    elif kind == "microsoft.network/publicipaddresses":
        _prepare_public_address(resource, body, properties)


def view(state: State, key: str, shown: Document) -> None:
    """Adds children and users to a copy of the resource."""
    kind = type_of(key)
    if kind in EMBEDDED:
        shown["properties"][EMBEDDED[kind]] = [_child(state, child) for child in children(state, key)]
    for user, (place, _) in users(state, key):
        if place == "natGateway":
            shown["properties"][place] = {"id": state.resources[user]["id"]}
        elif place:
            shown["properties"].setdefault(place, []).append({"id": state.resources[user]["id"]})


def children(state: State, key: str) -> list[str]:
    """The embedded children's keys, in the order in which they were made."""
    start = f"{key}/{EMBEDDED[type_of(key)].lower()}/"
    return [found for found in state.resources if found.startswith(start) and "/" not in found[len(start) :]]


def users(state: State, key: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Who refers to the resource, and how."""
    for user, resource in state.resources.items():
        kind = type_of(user)
        for (referring, member), how in _REFERENCES.items():
            if kind == referring and key in _ids(resource["properties"].get(member)):
                yield user, how


def check_unused(state: State, key: str) -> None:
    """Raises what the service answers when something in use is to be deleted; children count with their parent."""
    inside = state.under(key)
    for part in inside:
        for user, (_, code) in users(state, part):
            if user not in inside:
                using = state.resources[user]["id"]
                message = f"{state.resources[part]['id']} cannot be deleted because it is in use by {using}."
                raise ArmError(400, code, message)


def ranges(subnet: Document) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """A subnet's own."""
    return _ranges(subnet["properties"])


def _child(state: State, key: str) -> Document:
    resource = state.resources[key]
    return {name: resource[name] for name in ("id", "name", "type", "etag", "properties") if name in resource}


def _check_references(state: State, resource: ResourceId, properties: Document) -> None:
    for (kind, member), _ in _REFERENCES.items():
        if kind != resource.type.lower():
            continue
        for wanted in _ids(properties.get(member)):
            if wanted not in state.resources:
                message = (
                    f"Resource {wanted} referenced by resource {resource.path} was not found. Please make sure that"
                )
                raise ArmError(400, "InvalidResourceReference", f"{message} the referenced resource exists.")


def _ids(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [str(one["id"]).lower() for one in found if isinstance(one, dict) and "id" in one]


def _prepare_subnet(state: State, subnet: ResourceId, properties: Document) -> None:
    ranges = _ranges(properties)
    network = state.resources[subnet.parent.key]
    space = [ipaddress.ip_network(text) for text in network["properties"]["addressSpace"]["addressPrefixes"]]
    for one in ranges:
        if not any(one.version == whole.version and one.subnet_of(whole) for whole in space):  # type: ignore[arg-type]
            message = (
                f"Subnet '{subnet.name}' is not valid because its IP address range is outside the IP address range"
            )
            raise ArmError(400, "NetcfgSubnetRangeOutsideVnet", f"{message} of virtual network '{subnet.names[0]}'.")
    for other in children(state, subnet.parent.key):
        theirs = _ranges(state.resources[other]["properties"])
        if other != subnet.key and any(a.overlaps(b) for a in ranges for b in theirs):
            name = state.resources[other]["name"]
            message = (
                f"Subnet '{subnet.name}' is not valid because its IP address range overlaps with that of '{name}'."
            )
            raise ArmError(400, "NetcfgSubnetRangesOverlap", message)
    properties.setdefault("privateEndpointNetworkPolicies", "Disabled")
    properties.setdefault("privateLinkServiceNetworkPolicies", "Enabled")
    for delegation in properties.get("delegations") or []:
        delegation["id"] = f"{subnet.path}/delegations/{delegation['name']}"
        delegation.setdefault("properties", {})["actions"] = ["Microsoft.Network/virtualNetworks/subnets/action"]
        delegation["properties"]["provisioningState"] = "Succeeded"


def _ranges(properties: Document) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    texts = (
        [properties["addressPrefix"]] if properties.get("addressPrefix") else properties.get("addressPrefixes") or []
    )
    try:
        return [ipaddress.ip_network(text) for text in texts]
    except ValueError as error:
        raise ArmError(400, "InvalidCIDRNotation", f"The address prefix is not valid: {error}.") from error


def _check_priority(state: State, rule: ResourceId, properties: Document) -> None:
    if not 100 <= properties["priority"] <= 4096:
        message = (
            f"Security rule has invalid Priority. Value provided: {properties['priority']} Allowed range 100-4096."
        )
        raise ArmError(400, "SecurityRuleInvalidPriority", message)
    for other in children(state, rule.parent.key):
        theirs = state.resources[other]["properties"]
        if other != rule.key and all(theirs[name] == properties[name] for name in ("priority", "direction")):
            message = (
                f"Security rule {rule.name} conflicts with rule {state.resources[other]['name']}. Rules cannot have"
            )
            raise ArmError(400, "SecurityRuleConflict", f"{message} the same Priority and Direction.")


def check_rules(rules: list[Document]) -> None:
    """No two rules of one body may share priority and direction."""
    for one, other in combinations(rules, 2):
        if all(one["properties"].get(name) == other["properties"].get(name) for name in ("priority", "direction")):
            message = f"Security rule {one['name']} conflicts with rule {other['name']}. Rules cannot have the same"
            raise ArmError(400, "SecurityRuleConflict", f"{message} Priority and Direction.")


def _default_rule(
    group: ResourceId, name: str, priority: int, direction: str, access: str, source: str, destination: str
) -> Document:
    properties = {
        "provisioningState": "Succeeded",
        "protocol": "*",
        "sourcePortRange": "*",
        "destinationPortRange": "*",
        "sourceAddressPrefix": source,
        "destinationAddressPrefix": destination,
        "access": access,
        "priority": priority,
        "direction": direction,
    }
    return {"name": name, "id": f"{group.path}/defaultSecurityRules/{name}", "properties": properties}


def _prepare_public_address(address: ResourceId, body: Document, properties: Document) -> None:
    sku = body.setdefault("sku", {})
    sku.setdefault("name", "Standard")
    sku.setdefault("tier", "Regional")
    properties.setdefault("publicIPAllocationMethod", "Dynamic")
    if sku["name"].lower() == "standard" and properties["publicIPAllocationMethod"].lower() == "dynamic":
        message = f"Standard sku publicIp {address.path} must have AllocationMethod set to Static."
        raise ArmError(400, "PublicIPAddressAllocationMethodNotSupported", message)
    for name, value in (("publicIPAddressVersion", "IPv4"), ("idleTimeoutInMinutes", 4), ("ipTags", [])):
        properties.setdefault(name, value)
    # From the range kept for documentation: nobody can reach it by mistake.
    properties["ipAddress"] = f"203.0.113.{1 + zlib.crc32(address.key.encode()) % 254}"
