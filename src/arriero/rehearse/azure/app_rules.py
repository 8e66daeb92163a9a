"""What Azure Container Apps refuse: of an environment, and of an app in it.

Read 2026-11-30: https://learn.microsoft.com/azure/container-apps/gpu-serverless-overview (whole GPUs, where they are),
.../custom-virtual-networks (a subnet of at least a /27, delegated), .../ingress-how-to (ports of TCP ingress). An app
on a profile with a GPU asks for all that the profile has, as a public guide says that it must. The codes are ours where
no record was found.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Iterator

from arriero.catalog import gpu_machines
from arriero.rehearse.azure import identities
from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.state import State
from arriero.rehearse.azure.types import CONTAINER_APPS, ENVIRONMENTS
from arriero.rehearse.azure.world import World

PLAIN = "Consumption"
_DELEGATION = "microsoft.app/environments"
_LONGEST_PREFIX = 27
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?")
_MOST_CPU, _MOST_MEMORY_GIB = 4.0, 8.0  # of an app on the plain profile


def check_environment(world: World, resource: ResourceId, body: Document, old: Document | None) -> None:
    """Raises what the service answers to an environment that can't be, or can't become this one."""
    network = body["properties"].get("vnetConfiguration") or {}
    if old is not None and (old["properties"].get("vnetConfiguration") or {}) != network:
        message = f"The network of the managed environment '{resource.name}' can't be changed."
        raise ArmError(400, "ManagedEnvironmentInvalidNetworkConfiguration", message)
    if subnet := str(network.get("infrastructureSubnetId") or ""):
        _check_subnet(world, body, subnet)
    _check_profiles(world, resource, body, old)


def domain(body: Document, old: Document | None) -> str:
    """Below which its apps have their names: another one with each environment that is made."""
    known = old["properties"].get("defaultDomain") if old else ""
    return known or f"stage-{uuid.uuid4().hex[:8]}.{body['location']}.azurecontainerapps.io"


def check_app(world: World, app: ResourceId, body: Document) -> None:
    """Raises what the service answers to an app that can't be, and fills in what it tells of identities."""
    if not _NAME.fullmatch(app.name) or "--" in app.name:
        message = f"Invalid ContainerApp name '{app.name}'. A name must consist of lower case alphanumeric characters"
        raise ArmError(400, "ContainerAppInvalidName", f"{message} or '-', and must be 2 to 32 of them.")
    environment = _environment_of(world, body)
    if environment["location"] != body["location"]:
        message = f"The environment is in '{environment['location']}', the container app in '{body['location']}'."
        raise ArmError(400, "ContainerAppLocationMismatch", message)
    _check_size(body, _profile(environment, body))
    _check_ingress(world, app, body, environment)
    registries = (body["properties"].get("configuration") or {}).get("registries")
    identities.check(world, f"container app '{app.name}'", body, registries)
    identities.fill_in(world, body)
    scale = body["properties"]["template"].get("scale") or {}
    if (
        int(scale.get("maxReplicas") or 10) < int(scale.get("minReplicas") or 0)
        or int(scale.get("maxReplicas", 10)) < 1
    ):
        raise ArmError(400, "ContainerAppInvalidScale", f"The scale {scale} of '{app.name}' is not valid.")


def check_unused(state: State, key: str) -> None:
    """Raises where something that is to go is in use: a subnet by an environment, an environment by its apps."""
    inside = set(state.under(key))
    for user, resource in state.resources.items():
        if user in inside:
            continue
        kind = type_of(user)
        if kind == CONTAINER_APPS and environment_key(resource) in inside:
            message = f"The managed environment has container apps, such as '{resource['name']}', and can't be deleted."
            raise ArmError(409, "ManagedEnvironmentNotEmpty", message)
        if kind != ENVIRONMENTS:
            continue
        used = str((resource["properties"].get("vnetConfiguration") or {}).get("infrastructureSubnetId") or "").lower()
        if used in inside:
            message = f"{state.resources[used]['id']} cannot be deleted because it is in use by {resource['id']}."
            raise ArmError(400, "InUseSubnetCannotBeDeleted", message)


def environment_key(app: Document) -> str:
    properties = app["properties"]
    return str(properties.get("environmentId") or properties.get("managedEnvironmentId") or "").lower()


def apps_in(state: State, environment: str) -> Iterator[tuple[str, Document]]:
    """The apps of an environment, by its key."""
    for key, resource in state.resources.items():
        if type_of(key) == CONTAINER_APPS and environment_key(resource) == environment:
            yield key, resource


def _environment_of(world: World, app: Document) -> Document:
    found = world.find(environment_key(app))
    if found is None:
        message = f"The environment '{environment_key(app)}' of the container app was not found."
        raise ArmError(400, "ManagedEnvironmentNotFound", message)
    if found["properties"].get("provisioningState") != "Succeeded":
        state = found["properties"].get("provisioningState")
        message = f"The environment '{found['name']}' is not ready: its provisioningState is '{state}'."
        raise ArmError(409, "ManagedEnvironmentNotReadyForAppCreation", message)
    return found


def _profile(environment: Document, app: Document) -> str:
    """The type of the profile that the app runs on, which has to be one of its environment's."""
    named = str(app["properties"].get("workloadProfileName") or PLAIN)
    for each in environment["properties"].get("workloadProfiles") or ():
        if each["name"] == named:
            return str(each["workloadProfileType"])
    message = f"Workload profile '{named}' was not found in the managed environment '{environment['name']}'."
    raise ArmError(400, "WorkloadProfileNotFound", message)


def _check_size(app: Document, profile: str) -> None:
    containers = app["properties"]["template"]["containers"]
    cpu = sum(float(each["resources"]["cpu"]) for each in containers)
    memory = sum(float(str(each["resources"]["memory"]).removesuffix("Gi")) for each in containers)
    machine = next((each for each in gpu_machines.machines("azure") if each.name == profile), None)
    if machine and (cpu, memory) == (machine.cpu, machine.memory_gib):
        return
    if machine is None and cpu <= _MOST_CPU and memory <= _MOST_MEMORY_GIB:
        return
    message = (
        f"The requested resources '{cpu:g}' CPU and '{memory:g}Gi' memory don't fit the workload profile '{profile}'."
    )
    raise ArmError(400, "ContainerAppInvalidResourceTotal", message)


def _check_ingress(world: World, app: ResourceId, body: Document, environment: Document) -> None:
    ingress = (body["properties"].get("configuration") or {}).get("ingress") or {}
    _check_restrictions(ingress)
    if str(ingress.get("transport", "")).lower() != "tcp":
        return
    port = int(ingress.get("exposedPort") or ingress.get("targetPort") or 0)
    if not 1 <= port <= 65535 or port in (80, 443):
        raise ArmError(400, "ContainerAppInvalidIngressPort", f"The port {port} can't be exposed by TCP ingress.")
    if ingress.get("external") and not environment["properties"].get("vnetConfiguration"):
        message = "External TCP ingress is only supported in a managed environment with a custom virtual network."
        raise ArmError(400, "ContainerAppTcpRequiresVnet", message)
    for key, other in apps_in(world.state, environment["id"].lower()):
        theirs = (other["properties"].get("configuration") or {}).get("ingress") or {}
        if key != app.key and int(theirs.get("exposedPort") or 0) == port:
            message = f"The exposed port {port} is already in use by the container app '{other['name']}'."
            raise ArmError(409, "ContainerAppTcpPortAlreadyInUse", message)


def lets_in(ingress: Document, client: str) -> bool:
    """Whether its rules let that address come: without any everybody may; all of them allow, or all deny."""
    rules = ingress.get("ipSecurityRestrictions") or []
    is_named = any(ipaddress.ip_address(client) in _range(each) for each in rules)
    return not rules or is_named == (str(rules[0]["action"]).lower() == "allow")


def _check_restrictions(ingress: Document) -> None:
    """https://learn.microsoft.com/azure/container-apps/ip-restrictions: IPv4, and no mixing."""
    rules = ingress.get("ipSecurityRestrictions") or []
    if len({str(each["action"]).lower() for each in rules}) > 1:
        message = "The rules of ipSecurityRestrictions must be all Allow or all Deny."
        raise ArmError(400, "ContainerAppInvalidIpSecurityRestrictions", message)
    names = [each["name"] for each in rules]
    for each in rules:
        if names.count(each["name"]) > 1:
            message = f"The name '{each['name']}' of an IP security restriction is used more than once."
            raise ArmError(400, "ContainerAppInvalidIpSecurityRestrictions", message)
        try:
            _range(each)
        except ValueError:
            message = f"The range '{each['ipAddressRange']}' of '{each['name']}' is not an IPv4 range."
            raise ArmError(400, "ContainerAppInvalidIpSecurityRestrictions", message) from None


def _range(rule: Document) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(rule["ipAddressRange"])


def _check_subnet(world: World, body: Document, wanted: str) -> None:
    found, parent = world.find(wanted), ResourceId.parse(wanted)
    if found is None or parent is None:
        message = f"The subnet '{wanted}' of the managed environment was not found."
        raise ArmError(400, "ManagedEnvironmentInvalidNetworkConfiguration", message)
    given = [one["properties"].get("serviceName", "").lower() for one in found["properties"].get("delegations") or []]
    if _DELEGATION not in given:
        message = f"The subnet '{found['name']}' must be delegated to the service 'Microsoft.App/environments'."
        raise ArmError(400, "ManagedEnvironmentSubnetDelegationError", message)
    prefix = found["properties"].get("addressPrefix") or found["properties"]["addressPrefixes"][0]
    if ipaddress.ip_network(prefix).prefixlen > _LONGEST_PREFIX:
        message = f"The subnet '{found['name']}' has to have at least the size /{_LONGEST_PREFIX}."
        raise ArmError(400, "ManagedEnvironmentInvalidSubnetSize", message)
    network = world.state.resources[parent.parent.key]
    if network["location"] != body["location"]:
        message = f"The virtual network is in '{network['location']}', the environment in '{body['location']}'."
        raise ArmError(400, "ManagedEnvironmentInvalidNetworkConfiguration", message)


def _check_profiles(world: World, resource: ResourceId, body: Document, old: Document | None) -> None:
    profiles = body["properties"].get("workloadProfiles") or []
    known = {each.name: each for each in gpu_machines.machines("azure")}
    for each in profiles:
        kind = str(each["workloadProfileType"])
        if kind != PLAIN and (kind not in known or body["location"] not in known[kind].regions):
            message = f"The workload profile type '{kind}' is not supported in the location '{body['location']}'."
            raise ArmError(400, "WorkloadProfileTypeNotSupported", message)
    if old is None:
        return
    names = {each["name"] for each in profiles}
    for _, app in apps_in(world.state, resource.key):
        if (named := str(app["properties"].get("workloadProfileName") or PLAIN)) not in names:
            message = f"The workload profile '{named}' is in use by the container app '{app['name']}'."
            raise ArmError(400, "WorkloadProfileInUse", message)
