"""What Azure refuses of virtual machines, of their interfaces and of what hangs on them.

The wording of the quota is as users quoted it; most other codes are ours, for no record was found. The quota is one of
processors a family and region (https://learn.microsoft.com/azure/virtual-machines/quotas); a new subscription has none
of NCasT4_v3, and the stage gives some.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from arriero.catalog import gpu_machines
from arriero.catalog.gpu_machines import Machine
from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.state import State
from arriero.rehearse.azure.types import INTERFACES, VIRTUAL_MACHINES
from arriero.rehearse.azure.world import World

FAMILY, MOST_CORES = "standardNCASv3_T4Family", 256
IMAGES = ("microsoft-dsvm/ubuntu-hpc/2204",)
_LEAST_DISK_GIB, _MOST_DISK_GIB = 64, 4095
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


def check(world: World, machine: ResourceId, body: Document) -> None:
    """Raises what the service answers to a machine that can't be."""
    properties = body["properties"]
    if not _NAME.fullmatch(machine.name):
        raise _invalid("name", machine.name, "1 to 64 letters, digits, '.', '_' and '-'")
    size_of(body)
    _check_image(properties)
    _check_login(properties)
    _check_interface(world, machine, body)
    if str(properties.get("priority") or "Regular").lower() != "regular":
        raise ArmError(501, "NotImplemented", "Only virtual machines of the priority Regular are emulated.")


def check_quota(world: World, machine: ResourceId, body: Document) -> None:
    """Raises where its processors are more than what is left. One that is deallocated counts for none."""
    region, asked = body["location"], size_of(body).cpu
    current = used(world, region, but=machine.key)
    if current + asked > MOST_CORES:
        message = (
            f"Operation could not be completed as it results in exceeding approved {FAMILY} Cores quota. Additional"
            f" details - Deployment Model: Resource Manager, Location: {region}, Current Limit: {MOST_CORES}, Current"
            f" Usage: {current}, Additional Required: {asked}, (Minimum) New Limit Required: {current + asked}."
        )
        raise ArmError(409, "OperationNotAllowed", message)


def used(world: World, region: str, but: str = "") -> int:
    """The processors of the machines that run there."""
    there = (
        (key, one)
        for key, one in world.state.resources.items()
        if type_of(key) == VIRTUAL_MACHINES and key != but and one["location"] == region
    )
    return sum(size_of(one).cpu for key, one in there if world.state.runs[key].phase != "stopped")


def size_of(body: Document) -> Machine:
    """What the size holds; raises where there is none of that name."""
    wanted = str((body["properties"].get("hardwareProfile") or {}).get("vmSize") or "")
    for each in gpu_machines.machines("azure", "virtual"):
        if each.name.lower() == wanted.lower():
            return each
    raise _invalid("vmSize", wanted, "a size that this location has")


def check_update(old: Document, new: Document) -> None:
    """Tags and user data may change; that anything else may is not emulated. What is left out stays."""
    before = {**old["properties"], "userData": new["properties"].get("userData")}
    changed = [name for name, value in new["properties"].items() if not _is_said(value, before.get(name))]
    if changed:
        message = f"Changing property '{changed[0]}' is not allowed."
        raise ArmError(409, "PropertyChangeNotAllowed", message)


def _is_said(new: object, old: object) -> bool:
    """Whether what is asked for is so already, whatever the service has added to it."""
    if isinstance(new, dict) and isinstance(old, dict):
        return all(_is_said(value, old.get(name)) for name, value in new.items())
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return all(map(_is_said, new, old))
    return new == old


def check_new_interface(world: World, interface: ResourceId, body: Document) -> None:
    """An interface needs a subnet of its own region that is given to nobody."""
    for subnet in subnets(body):
        found, parent = world.find(subnet), ResourceId.parse(subnet)
        if found is None or parent is None:
            message = f"Resource {subnet} referenced by resource {interface.path} was not found."
            raise ArmError(400, "InvalidResourceReference", message)
        if world.state.resources[parent.parent.key]["location"] != body["location"]:
            message = f"The network of {interface.path} is in another region than the interface."
            raise ArmError(400, "InvalidResourceReference", message)
        if given := [each["properties"].get("serviceName") for each in found["properties"].get("delegations") or ()]:
            message = f"Subnet {found['id']} is delegated to {given[0]}, and can't be used by {interface.path}."
            raise ArmError(400, "SubnetIsDelegatedAndCannotBeUsedByResource", message)


def check_unused(state: State, key: str) -> None:
    """Raises where something that is to go is in use: an interface by a machine, a subnet by an interface."""
    inside = set(state.under(key))
    for user, resource in state.resources.items():
        kind = type_of(user)
        if user in inside or kind not in (VIRTUAL_MACHINES, INTERFACES):
            continue
        used_by = set(interfaces(resource)) if kind == VIRTUAL_MACHINES else set(subnets(resource))
        if taken := used_by & inside:
            code = "NicInUse" if kind == VIRTUAL_MACHINES else "InUseSubnetCannotBeDeleted"
            message = f"{taken.pop()} cannot be deleted because it is in use by {resource['id']}."
            raise ArmError(400, code, message)


def interfaces(machine: Document) -> Iterator[str]:
    """The keys of a machine's interfaces."""
    profile = machine["properties"].get("networkProfile") or {}
    yield from (str(each["id"]).lower() for each in profile.get("networkInterfaces") or ())


def subnets(interface: Document) -> Iterator[str]:
    """The keys of the subnets that an interface stands in."""
    for each in interface["properties"].get("ipConfigurations") or ():
        if subnet := (each.get("properties") or {}).get("subnet"):
            yield str(subnet["id"]).lower()


def _check_image(properties: Document) -> None:
    storage = properties.get("storageProfile") or {}
    image, disk = storage.get("imageReference") or {}, storage.get("osDisk") or {}
    named = "/".join(str(image.get(part, "")) for part in ("publisher", "offer", "sku"))
    if named not in IMAGES:
        message = f"The platform image '{named.replace('/', ':')}' is not available."
        raise ArmError(404, "PlatformImageNotFound", message)
    size = int(disk.get("diskSizeGB") or _LEAST_DISK_GIB)
    if not _LEAST_DISK_GIB <= size <= _MOST_DISK_GIB:
        raise _invalid("osDisk.diskSizeGB", str(size), f"{_LEAST_DISK_GIB} to {_MOST_DISK_GIB}")


def _check_login(properties: Document) -> None:
    profile = properties.get("osProfile") or {}
    linux = profile.get("linuxConfiguration") or {}
    keys = [str(each.get("keyData", "")) for each in (linux.get("ssh") or {}).get("publicKeys") or ()]
    if profile.get("adminPassword") and not linux.get("disablePasswordAuthentication"):
        return
    if not keys or not linux.get("disablePasswordAuthentication"):
        message = "Authentication using either SSH or by user name and password must be enabled in Linux profile."
        raise ArmError(400, "InvalidParameter", message)
    if wrong := [key for key in keys if not key.startswith(("ssh-rsa AAAA", "ssh-ed25519 AAAA"))]:
        raise _invalid("linuxConfiguration.ssh.publicKeys.keyData", wrong[0][:20], "a public key")


def _check_interface(world: World, machine: ResourceId, body: Document) -> None:
    wanted = list(interfaces(body))
    if len(wanted) != 1:
        raise ArmError(400, "InvalidParameter", "Only virtual machines with one network interface are emulated.")
    found = world.find(wanted[0])
    if found is None:
        message = f"Resource {wanted[0]} referenced by resource {machine.path} was not found."
        raise ArmError(400, "InvalidResourceReference", message)
    if found["location"] != body["location"]:
        message = f"The network interface is in '{found['location']}', the virtual machine in '{body['location']}'."
        raise ArmError(400, "NetworkInterfaceAndMachineInDifferentRegions", message)
    for key, other in world.state.resources.items():
        if type_of(key) == VIRTUAL_MACHINES and key != machine.key and wanted[0] in interfaces(other):
            message = f"The network interface {found['id']} is in use by the virtual machine {other['id']}."
            raise ArmError(400, "NicInUse", message)


def _invalid(name: str, value: str, wanted: str) -> ArmError:
    message = f"The value '{value}' of parameter {name} is invalid: it has to be {wanted}."
    return ArmError(400, "InvalidParameter", message)
