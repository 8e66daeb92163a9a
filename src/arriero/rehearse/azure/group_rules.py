"""What Azure Container Instances refuses: limits of a group, quotas of a region, and updates in place.

Limits and quotas are those of Microsoft's page "Resource availability & quota limits for ACI" (31 vCPU, 240 GB, 60
containers and 5 ports a group; 100 groups and 100 cores a region; 300 creates an hour, 100 in five minutes). Codes and
messages of quota, capacity and update are as users quoted them; the other codes are ours, for no record was found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from arriero.rehearse.azure import accounts, identities, images, private_link
from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.types import CONTAINER_GROUPS
from arriero.rehearse.azure.world import World

MOST_CPU, MOST_MEMORY_GB, MOST_CONTAINERS, MOST_PORTS = 31, 240, 60, 5
MOST_GROUPS, MOST_CORES = 100, 100
CREATES_IN = ((300.0, 100), (3600.0, 300))
_DELEGATION = "Microsoft.ContainerInstance/containerGroups"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def check(world: World, group: ResourceId, body: Document) -> None:
    """Raises what the service answers to a group that cannot be, whatever else is there."""
    properties = body["properties"]
    _check_names(group, properties)
    _check_size(body)
    _check_network(world, body)
    _check_volumes(world, properties)
    identities.check(world, f"container group '{group.name}'", body, properties.get("imageRegistryCredentials"))
    images.check_access(world, group.name, properties)


def check_room(world: World, group: ResourceId, body: Document) -> None:
    """Raises when the region's quota or the rate of creation is used up; counts the creation otherwise."""
    region, spot = body["location"], _is_spot(body)
    others = [one for key, one in world.state.resources.items() if _counts(key, one, region) and key != group.key]
    _check_quota("ContainerGroups", region, MOST_GROUPS, len(others), 1)
    used = sum(cores(one) for one in others if _is_spot(one) == spot)
    _check_quota("StandardSpotCores" if spot else "StandardCores", region, MOST_CORES, used, cores(body))
    recent = [at for at in world.state.creates.get(region, []) if world.now - at < CREATES_IN[-1][0]]
    for seconds, most in CREATES_IN:
        inside = [at for at in recent if world.now - at < seconds]
        if len(inside) >= most:
            wait = int(inside[-most] + seconds - world.now) + 1
            message = f"The limit of {most} container group creations in {int(seconds)} s in '{region}' is reached."
            raise ArmError(429, "TooManyRequests", message, {"Retry-After": str(wait)})
    world.state.creates[region] = [*recent, world.now]


def used(world: World, region: str) -> tuple[int, float, float]:
    """Container groups, cores and Spot cores that count against the region's quotas now."""
    groups = [one for key, one in world.state.resources.items() if _counts(key, one, region)]
    spot = [one for one in groups if _is_spot(one)]
    return len(groups), sum(map(cores, groups)) - sum(map(cores, spot)), sum(map(cores, spot))


def check_update(old: Document, new: Document) -> None:
    """Raises for a change that needs the group to be deleted first: OS, restart policy, network, CPU, memory, ports."""
    if _fixed(old) != _fixed(new):
        raise ArmError(
            400,
            "InvalidContainerGroupUpdate",
            f"The updates on container group '{new['name']}' are invalid. If you are going to update the os type,"
            " restart policy, network profile, CPU, memory or GPU resources for a container group, you must delete it"
            " first and then create a new one.",
        )


def cores(group: Document) -> float:
    return sum(float(requests(one).get("cpu", 0)) for one in group["properties"]["containers"])


def requests(container: Document) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (container["properties"].get("resources") or {}).get("requests") or {}
    return found


def _fixed(group: Document) -> Any:
    properties = group["properties"]
    sizes = sorted(
        (
            one["name"],
            float(requests(one).get("cpu", 0)),
            float(requests(one).get("memoryInGB", 0)),
            sorted(port["port"] for port in one["properties"].get("ports") or []),
        )
        for one in properties["containers"]
    )
    networks = sorted(one["id"].lower() for one in properties.get("subnetIds") or [])
    return (properties.get("osType"), properties.get("restartPolicy"), networks, sizes)


def _check_names(group: ResourceId, properties: Document) -> None:
    containers = properties["containers"] + (properties.get("initContainers") or [])
    names = [one["name"] for one in containers]
    if wrong := [name for name in (group.name, *names) if not _NAME.fullmatch(name)]:
        message = f"The name '{wrong[0]}' is invalid: 1 to 63 lower case letters, digits and '-', not at its ends."
        raise ArmError(400, "InvalidContainerGroupName", message)
    if double := [name for name, count in Counter(names).items() if count > 1]:
        raise ArmError(400, "DuplicateContainerName", f"The container name '{double[0]}' is used more than once.")
    if not len(properties["containers"]) >= 1 or len(containers) > MOST_CONTAINERS:
        message = f"A container group has 1 to {MOST_CONTAINERS} containers; '{group.name}' has {len(containers)}."
        raise ArmError(400, "InvalidContainerCount", message)


def _check_size(body: Document) -> None:
    asked = [requests(one) for one in body["properties"]["containers"]]
    if any(not one.get("cpu") or not one.get("memoryInGB") for one in asked):
        raise ArmError(400, "InvalidContainerResources", "Every container must request a cpu and a memoryInGB above 0.")
    gpus = sum(int((one.get("gpu") or {}).get("count", 0)) for one in asked)
    cpu, memory = sum(float(one["cpu"]) for one in asked), sum(float(one["memoryInGB"]) for one in asked)
    if gpus or cpu > MOST_CPU or memory > MOST_MEMORY_GB:
        gpu = f" '{gpus}' GPU" if gpus else ""
        raise ArmError(
            409,
            "ServiceUnavailable",
            f"The requested resource is not available in the location '{body['location']}' at this moment. Please retry"
            " with a different resource request or in another location. Resource requested:"
            f" '{cpu:g}' CPU '{memory:g}' GB memory{gpu} '{body['properties'].get('osType')}' OS",
        )


def _check_network(world: World, body: Document) -> None:
    properties, name = body["properties"], body["name"]
    address, subnets = properties.get("ipAddress"), properties.get("subnetIds") or []
    ports = [one["port"] for one in (address or {}).get("ports") or []]
    opened = [one["port"] for each in properties["containers"] for one in each["properties"].get("ports") or []]
    if len(set(ports)) > MOST_PORTS:
        raise ArmError(400, "TooManyPorts", f"The container group '{name}' exposes more than {MOST_PORTS} ports.")
    if len(opened) != len(set(opened)):
        raise ArmError(400, "DuplicatePorts", f"Two containers of the group '{name}' open the same port.")
    if missing := set(ports) - set(opened):
        raise ArmError(
            400, "InvalidPorts", f"No container of the group '{name}' opens port {min(missing)} of its address."
        )
    if _is_spot(body) and (address or subnets):
        raise ArmError(
            400, "SpotPriorityNotSupported", "A Spot container group has no IP address and no virtual network."
        )
    kind = (address or {}).get("type")
    if subnets and (kind == "Public" or (address or {}).get("dnsNameLabel")):
        message = (
            f"The container group '{name}' is in a virtual network: it can have neither a public IP nor a DNS label."
        )
        raise ArmError(400, "InvalidIPAddressType", message)
    if not subnets and kind == "Private":
        raise ArmError(400, "InvalidIPAddressType", f"The private IP of '{name}' needs a subnet: subnetIds is empty.")
    for subnet in subnets:
        _check_subnet(world, body, subnet["id"].lower())


def _check_subnet(world: World, body: Document, key: str) -> None:
    found = world.find(key)
    parent = ResourceId.parse(key)
    if found is None or parent is None:
        message = (
            f"Resource {key} referenced by resource {body['id']} was not found. Please make sure that the referenced"
        )
        raise ArmError(400, "InvalidResourceReference", f"{message} resource exists.")
    delegated = [
        one["properties"].get("serviceName", "").lower() for one in found["properties"].get("delegations") or []
    ]
    if _DELEGATION.lower() not in delegated:
        message = f"Subnet {found['id']} requires any of the following delegation(s) [{_DELEGATION}]"
        raise ArmError(400, "SubnetMissingRequiredDelegation", f"{message} to reference service association link.")
    network = world.state.resources[parent.parent.key]
    if network["location"] != body["location"]:
        message = f"The virtual network is in '{network['location']}', the container group in '{body['location']}'."
        raise ArmError(400, "InvalidVirtualNetworkLocation", message)


def _check_volumes(world: World, properties: Document) -> None:
    volumes = {one["name"]: one for one in properties.get("volumes") or []}
    for container in properties["containers"] + (properties.get("initContainers") or []):
        for mount in container["properties"].get("volumeMounts") or []:
            if mount["name"] not in volumes:
                message = f"The volume '{mount['name']}' mounted in container '{container['name']}' is not defined."
                raise ArmError(400, "VolumeNotFound", message)
            if "azureFile" in volumes[mount["name"]]:
                _check_root(container)
    for share in [one["azureFile"] for one in volumes.values() if "azureFile" in one]:
        _check_share(world, share, [one["id"] for one in properties.get("subnetIds") or []])


def _check_share(world: World, share: Document, subnets: list[str]) -> None:
    """The account is there, the group's network leads to it, the key is one of its, and it has the share."""
    name = share["storageAccountName"]
    found = [
        (key, one)
        for key, one in world.state.resources.items()
        if type_of(key) == "microsoft.storage/storageaccounts" and one["name"] == name
    ]
    if not found:
        message = f"Cannot access storage account '{name}': it was not found."
        raise ArmError(400, "CannotAccessStorageAccount", message)
    account = ResourceId.parse(found[0][1]["id"])
    assert account is not None
    if not private_link.may_reach(world.state, subnets, found[0][0], "file"):
        message = f"Cannot access storage account '{name}': it is closed to public networks, and no private endpoint"
        raise ArmError(400, "CannotAccessStorageAccount", f"{message} leads there from the network of the group.")
    if share.get("storageAccountKey") not in (accounts.key(account, "key1"), accounts.key(account, "key2")):
        message = f"Cannot access storage account '{name}': the key is wrong."
        raise ArmError(400, "CannotAccessStorageAccount", message)
    if world.find(f"{found[0][0]}/fileservices/default/shares/{share['shareName'].lower()}") is None:
        message = f"Cannot access file share '{share['shareName']}' of storage account '{name}': it was not found."
        raise ArmError(400, "CannotAccessFileShare", message)


def _check_root(container: Document) -> None:
    """Azure Files is CIFS here, and its mount is root's: another user could not read the models on it."""
    user = (container["properties"].get("securityContext") or {}).get("runAsUser")
    if user:
        message = (
            f"Container '{container['name']}' runs as user {user} and mounts an Azure file share, which only root can"
        )
        raise ArmError(400, "InvalidVolumeMount", f"{message} use; copy from it to an emptyDir in an init container.")


def _check_quota(quota: str, region: str, limit: float, used: float, asked: float) -> None:
    if used + asked > limit:
        raise ArmError(
            400,
            "ContainerGroupQuotaReached",
            f"Resource type 'Microsoft.ContainerInstance/containerGroups' container group quota '{quota}' exceeded in"
            f" region '{region}'. Limit: '{limit:g}', Usage: '{used:g}' Requested: '{asked:g}'.",
        )


def _counts(key: str, group: Document, region: str) -> bool:
    return type_of(key) == CONTAINER_GROUPS and group["location"] == region


def _is_spot(group: Document) -> bool:
    return str(group["properties"].get("priority", "")).lower() == "spot"
