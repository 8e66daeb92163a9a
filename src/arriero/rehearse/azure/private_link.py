"""Private endpoints and the private DNS zones that name them: what Azure adds to them, refuses, and lets through.

An endpoint takes an address of its subnet and is approved at once, but for a connection that asks to be approved by
hand. A zone group ties it to a zone; a network that is linked to the zone finds the endpoint's address under the name
of what it leads to, and public DNS the public one. Codes are Azure's where a page or a user quoted them
(PrivateEndpointCreationNotAllowedAsSubnetIsDelegated, CannotDeleteResource), else ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from typing import Any

from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.state import State

_ENDPOINT = "microsoft.network/privateendpoints"
_ZONE_GROUP = f"{_ENDPOINT}/privatednszonegroups"
_ZONE = "microsoft.network/privatednszones"
_LINK = f"{_ZONE}/virtualnetworklinks"
_ACCOUNT, _VAULT = "microsoft.storage/storageaccounts", "microsoft.keyvault/vaults"
_REGISTRY = "microsoft.containerregistry/registries"
_CONNECTIONS = {"privateLinkServiceConnections": "Approved", "manualPrivateLinkServiceConnections": "Pending"}
# What can be led to, and its parts: https://learn.microsoft.com/azure/private-link/private-endpoint-overview
_PARTS = {_ACCOUNT: ("blob", "dfs", "file", "queue", "table", "web"), _VAULT: ("vault",), _REGISTRY: ("registry",)}
_DOMAINS = {"vault": ".vault.azure.net", "registry": ".azurecr.io"}
_KEPT_ADDRESSES = 4  # of each subnet, at its beginning: network, gateway, and two for Azure's DNS


def prepare(state: State, resource: ResourceId, body: Document) -> None:
    """Checks the body against its neighbours and fills in what the service does; raises as the service answers."""
    kind = resource.type.lower()
    if kind == _ENDPOINT:
        _prepare_endpoint(state, resource, body)
    elif kind == _ZONE_GROUP:
        for config in body["properties"].get("privateDnsZoneConfigs") or []:
            _needs(state, resource, str(config["properties"]["privateDnsZoneId"]))
    elif kind == _LINK:
        _prepare_link(state, resource, body["properties"])
    if kind in (_ZONE, _LINK) and body.get("location") not in (None, "global"):
        message = f"The resource '{resource.name}' is global: its location is 'global', not '{body['location']}'."
        raise ArmError(400, "LocationNotAvailableForResourceType", message)


def check_unused(state: State, key: str) -> None:
    """Raises what the service answers when a zone is to be deleted to which networks are linked."""
    if type_of(key) == _ZONE and any(type_of(each) == _LINK for each in state.under(key)):
        message = "Can not delete resource before nested resources are deleted."
        raise ArmError(409, "CannotDeleteResource", message)


def view(state: State, key: str, shown: Document) -> None:
    """Adds to a copy of the resource what others make of it."""
    kind, properties = type_of(key), shown["properties"]
    if kind in _PARTS:
        properties["privateEndpointConnections"] = [_seen_by(state, each) for each in _leading_to(state, key)]
    elif kind == _ZONE:
        properties["numberOfVirtualNetworkLinks"] = sum(type_of(each) == _LINK for each in state.under(key))
    elif kind == _ENDPOINT:
        for connection in _connections(shown):
            if str(connection["privateLinkServiceId"]).lower() not in state.resources:
                connection["privateLinkServiceConnectionState"] = {"status": "Disconnected", "description": ""}
    elif kind == _ZONE_GROUP:
        endpoint = state.resources[key.rpartition(f"/{_ZONE_GROUP.rpartition('/')[2]}/")[0]]
        for config in properties.get("privateDnsZoneConfigs") or []:
            config["properties"]["recordSets"] = list(_records(endpoint))


def may_reach(state: State, subnets: Collection[str], target: str, part: str) -> bool:
    """Whether containers of these subnets come to that part of the resource: it is open to public networks, or they
    find an endpoint of it by a zone that is linked to their network.
    """
    if state.resources[target]["properties"].get("publicNetworkAccess") != "Disabled":
        return True
    networks = {str(subnet).lower().rpartition("/subnets/")[0] for subnet in subnets}
    return any(networks & set(_networks_that_find(state, key)) for key in _leading_to(state, target, part))


def _prepare_endpoint(state: State, endpoint: ResourceId, body: Document) -> None:
    properties = body["properties"]
    subnet = state.resources[str(properties["subnet"]["id"]).lower()]
    network = state.resources[str(subnet["id"]).lower().rpartition("/subnets/")[0]]
    if network["location"] != body["location"]:
        message = f"The virtual network is in '{network['location']}', the private endpoint in '{body['location']}'."
        raise ArmError(400, "InvalidResourceReference", message)
    if subnet["properties"].get("delegations"):
        message = f"Private endpoint {endpoint.path} cannot be created as subnet {subnet['id']} is delegated."
        raise ArmError(400, "PrivateEndpointCreationNotAllowedAsSubnetIsDelegated", message)
    found = [(kind, each) for kind in _CONNECTIONS for each in properties.get(kind) or []]
    if len(found) != 1:
        message = f"Private endpoint {endpoint.path} has {len(found)} connections; it needs exactly one."
        raise ArmError(400, "InvalidPrivateLinkServiceConnections", message)
    [(kind, connection)] = found
    _check_target(state, endpoint, connection["properties"])
    connection["id"] = f"{endpoint.path}/{kind}/{connection['name']}"
    connection["properties"]["privateLinkServiceConnectionState"] = {
        "status": _CONNECTIONS[kind],
        "description": "",
        "actionsRequired": "None",
    }
    old = state.resources.get(endpoint.key)
    names = _public_names(state, connection["properties"])
    addresses = _addresses(old) if old else []
    if len(addresses) != len(names):
        addresses = _free_addresses(state, endpoint.key, subnet, len(names))
    properties["customDnsConfigs"] = [
        {"fqdn": name, "ipAddresses": [address]} for name, address in zip(names, addresses, strict=True)
    ]
    interface = f"{endpoint.path.rpartition('/privateEndpoints/')[0]}/networkInterfaces/{endpoint.name}.nic"
    properties["networkInterfaces"] = [{"id": interface}]


def _check_target(state: State, endpoint: ResourceId, connection: Document) -> None:
    target = str(connection["privateLinkServiceId"])
    _needs(state, endpoint, target)
    parts, asked = _PARTS.get(type_of(target.lower()), ()), connection.get("groupIds") or []
    if len(asked) != 1 or asked[0] not in parts:
        message = f"Call to {target} failed: '{', '.join(asked)}' is none of its group ids ({', '.join(parts)})."
        raise ArmError(400, "PrivateLinkServiceGroupIdInvalid", message)
    tier = str((state.resources[target.lower()].get("sku") or {}).get("name"))
    if type_of(target.lower()) == _REGISTRY and tier != "Premium":
        message = f"Call to {target} failed: private endpoints are not supported for a registry of the tier {tier}."
        raise ArmError(400, "FeatureNotSupported", message)


def _prepare_link(state: State, link: ResourceId, properties: Document) -> None:
    """A network asks one zone of a name."""
    network = str((properties.get("virtualNetwork") or {}).get("id", ""))
    _needs(state, link, network)
    zone = link.parent.name.lower()
    for key, other in state.resources.items():
        parent = ResourceId.parse(key)
        if type_of(key) != _LINK or parent is None or key == link.key or parent.parent.name.lower() != zone:
            continue
        if str(other["properties"]["virtualNetwork"]["id"]).lower() == network.lower():
            message = f"The virtual network '{network}' is linked to another zone of the name '{zone}' already."
            raise ArmError(409, "Conflict", message)
    properties["virtualNetworkLinkState"] = "Completed"
    properties.setdefault("registrationEnabled", False)


def _needs(state: State, resource: ResourceId, wanted: str) -> None:
    if wanted.lower() not in state.resources:
        message = f"Resource {wanted} referenced by resource {resource.path} was not found. Please make sure that"
        raise ArmError(400, "InvalidResourceReference", f"{message} the referenced resource exists.")


def _connections(endpoint: Document) -> Iterator[Any]:
    for kind in _CONNECTIONS:
        for each in endpoint["properties"].get(kind) or []:
            yield each["properties"]


def _leading_to(state: State, target: str, part: str = "") -> list[str]:
    """The keys of endpoints to the resource; with `part` those alone that are approved for that part of it."""
    return [
        key
        for key, endpoint in state.resources.items()
        if type_of(key) == _ENDPOINT
        for connection in _connections(endpoint)
        if str(connection["privateLinkServiceId"]).lower() == target
        and (not part or (part in connection["groupIds"] and _status(connection) == "Approved"))
    ]


def _networks_that_find(state: State, endpoint: str) -> Iterator[str]:
    """The keys of networks that are linked to a zone which names the endpoint."""
    groups = [state.resources[key] for key in state.under(endpoint) if type_of(key) == _ZONE_GROUP]
    for group in groups:
        for config in group["properties"].get("privateDnsZoneConfigs") or []:
            for key in state.under(str(config["properties"]["privateDnsZoneId"]).lower()):
                if type_of(key) == _LINK:
                    yield str(state.resources[key]["properties"]["virtualNetwork"]["id"]).lower()


def _seen_by(state: State, key: str) -> Document:
    """An endpoint's connection as the resource that it leads to tells it."""
    endpoint = state.resources[key]
    connection = next(_connections(endpoint))
    status = connection["privateLinkServiceConnectionState"]
    properties = {"privateEndpoint": {"id": endpoint["id"]}, "privateLinkServiceConnectionState": status}
    return {"name": endpoint["name"], "properties": properties}


def _records(endpoint: Document) -> Iterator[Document]:
    domain = _domain(next(_connections(endpoint))["groupIds"][0])
    for config in endpoint["properties"]["customDnsConfigs"]:
        name = config["fqdn"].removesuffix(domain)
        record = {"recordType": "A", "recordSetName": name, "fqdn": config["fqdn"], "ttl": 10}
        yield {**record, "provisioningState": "Succeeded", "ipAddresses": list(config["ipAddresses"])}


def _named(connection: Document) -> str:
    return str(connection["privateLinkServiceId"]).rpartition("/")[2]


def _domain(part: str) -> str:
    return _DOMAINS.get(part, f".{part}.core.windows.net")


def _public_names(state: State, connection: Document) -> list[str]:
    """What its clients ask for, wherever they are. A registry gives layers at a name of its own in each of its regions:
    https://learn.microsoft.com/azure/container-registry/container-registry-private-link
    """
    name, part = _named(connection), connection["groupIds"][0]
    if part != "registry":
        return [f"{name}{_domain(part)}"]
    key = str(connection["privateLinkServiceId"]).lower()
    copies = (each for other, each in state.resources.items() if other.startswith(f"{key}/replications/"))
    regions = dict.fromkeys(each["location"] for each in (state.resources[key], *copies))
    return [f"{name.lower()}{middle}{_domain(part)}" for middle in ("", *(f".{each}.data" for each in regions))]


def _status(connection: Document) -> str:
    return str(connection["privateLinkServiceConnectionState"]["status"])


def _addresses(endpoint: Document) -> list[str]:
    return [str(address) for each in endpoint["properties"]["customDnsConfigs"] for address in each["ipAddresses"]]


def _free_addresses(state: State, own: str, subnet: Document, count: int) -> list[str]:
    """The first ones of the subnet that no other endpoint has."""
    properties = subnet["properties"]
    whole = ipaddress.ip_network(properties.get("addressPrefix") or properties["addressPrefixes"][0])
    others = (one for key, one in state.resources.items() if type_of(key) == _ENDPOINT and key != own)
    taken = {address for one in others for address in _addresses(one)}
    free = (str(one) for one in list(whole)[_KEPT_ADDRESSES:-1])
    found = [address for address in free if address not in taken][:count]
    if len(found) < count:
        raise ArmError(400, "SubnetIsFull", f"Subnet {subnet['name']} has no free address for a private endpoint.")
    return found
