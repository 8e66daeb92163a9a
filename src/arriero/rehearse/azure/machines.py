"""Virtual machines as an API: what a PUT makes of one, what a GET shows of it and of how it fares, start, deallocate,
its one extension.

What a machine runs by its user data (`boot.py`) is run as a container group's containers are (`reconciler.py`): `shape`
says of the machine what one says of a group. Its disk is made with it; disk and interface go with it where it says so.
Of extensions there is CustomScript, and of scripts those that wait for a port to answer: `tend` asks it. Not emulated
are Spot, more than one interface, data disks, stopping without giving the machine back, and changes in place.
"""

from __future__ import annotations

import copy
import re
import uuid
from collections.abc import Callable

from arriero.cost.machine import DISKS
from arriero.rehearse.azure import boot, machine_rules, operations, types
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.runs import ContainerRun, GroupRun
from arriero.rehearse.azure.world import World

_GIB = 2**30 / 10**9
_CRASHES = 3
_ASKED = re.compile(r"http://localhost:(\d+)/")
_DISKS = "Microsoft.Compute/disks"


def put(world: World, request: Request, machine: ResourceId, body: Document, old: Document | None) -> Answer:
    """Makes the machine and its disk; one that stands may get other tags and user data."""
    if old is not None:
        return _update(world, request, machine, body, old)
    machine_rules.check(world, machine, body)
    machine_rules.check_quota(world, machine, body)
    properties = body["properties"]
    properties |= {"vmId": str(uuid.uuid4()), "provisioningState": "Creating"}
    disk = _make_disk(world, machine, body)
    properties["storageProfile"]["osDisk"]["managedDisk"]["id"] = disk["id"]
    properties["storageProfile"]["imageReference"]["exactVersion"] = "22.04.2026112901"
    seconds = world.latency.seconds("vm.create")
    world.state.resources[machine.key] = body
    target = _target(world, body)
    names = [one["name"] for one in boot.containers(properties)]
    run = GroupRun(target, world.now + seconds, containers=list(map(ContainerRun, names)))
    world.state.runs[machine.key] = run
    headers = operations.begin(world, request, machine.key, "put", seconds)
    world.state.changed()
    return Answer(201, view(world, machine.key), headers)


def put_extension(world: World, request: Request, extension: ResourceId, body: Document) -> Answer:
    """Has a script run on the machine, which must be there whole."""
    machine, settings = world.resource(extension.parent), body["properties"].get("settings") or {}
    if (body["properties"]["publisher"], body["properties"]["type"]) != ("Microsoft.Azure.Extensions", "CustomScript"):
        raise ArmError(501, "NotImplemented", "Of extensions only CustomScript is emulated.")
    if not _ASKED.search(str(settings.get("commandToExecute", ""))):
        message = "Of scripts only those that wait until http://localhost:PORT/ answers are emulated."
        raise ArmError(501, "NotImplemented", message)
    if view(world, extension.parent.key)["properties"]["provisioningState"] != "Succeeded":
        message = f"The virtual machine '{machine['name']}' is not ready for an extension."
        raise ArmError(409, "OperationNotAllowed", message)
    body["properties"]["provisioningState"] = "Creating"
    world.state.resources[extension.key] = {**body, "location": machine["location"]}
    headers = operations.begin(world, request, extension.key, "put", 0)
    world.state.changed()
    return Answer(201, world.state.resources[extension.key], headers)


def delete(world: World, request: Request, machine: ResourceId) -> Answer:
    """The machine is gone at once, with what goes with it; its servers end in their own time."""
    body = world.state.resources[machine.key]
    going = list(world.state.under(machine.key))
    disk = body["properties"]["storageProfile"]["osDisk"]
    disk_key = str(disk["managedDisk"]["id"]).lower()
    world.state.resources.get(disk_key, {}).pop("managedBy", None)
    if disk.get("deleteOption") == "Delete":
        going.append(disk_key)
    for each in body["properties"]["networkProfile"]["networkInterfaces"]:
        key = str(each["id"]).lower()
        if (each.get("properties") or {}).get("deleteOption") == "Delete":
            going.append(key)
        elif key in world.state.resources:
            _configuration(world.state.resources[key]).pop("privateIPAddress", None)
    for key in going:
        world.state.resources.pop(key, None)
    world.state.shapes.pop(machine.key, None)
    world.state.leaving.append(world.state.runs.pop(machine.key).target)
    headers = operations.begin(world, request, machine.key, "gone", world.latency.seconds("arm.call"), location=True)
    world.state.changed()
    return Answer(202, None, headers)


def view(world: World, key: str, expand: str = "") -> Document:
    """The machine with its extensions; with what is asked for besides: `instanceView` or `userData`."""
    shown: Document = copy.deepcopy(world.state.resources[key])
    properties = shown["properties"]
    told = properties.pop("userData", None)
    (properties.get("osProfile") or {}).pop("customData", None)
    properties["provisioningState"] = _provisioning(world, key)
    shown["resources"] = [world.state.resources[each] for each in _extensions(world, key)]
    if expand.lower() == "userdata" and told is not None:
        properties["userData"] = told
    if expand.lower() == "instanceview":
        properties["instanceView"] = _instance_view(world, key)
    return shown


def act(world: World, request: Request, asked: ResourceId) -> Answer:
    """start and deallocate of a machine, its instanceView, and the list of its extensions."""
    action, machine = asked.types[-1].lower(), asked.parent
    types.check_type(machine.type, request.query["api-version"], "global")
    body = world.resource(machine)
    if request.method == "GET" and action == "instanceview":
        return Answer(200, _instance_view(world, machine.key))
    if request.method == "GET" and action == "extensions":
        return Answer(200, {"value": [world.state.resources[each] for each in _extensions(world, machine.key)]})
    if request.method != "POST" or action not in ("start", "deallocate"):
        message = f"{request.method} of '{action}' is not emulated for a virtual machine."
        raise ArmError(405, "MethodNotAllowed", message)
    run = world.state.runs[machine.key]
    if action == "deallocate" and run.phase not in ("stopped", "stopping"):
        run.phase, run.after_stop = "stopping", "stopped"
    elif action == "start" and run.phase == "stopping":
        run.after_stop = "pending"
    elif action == "start" and run.phase == "stopped":
        machine_rules.check_quota(world, machine, body)
        run.phase, run.ready_at = "pending", world.now + world.latency.seconds("vm.create")
        for container in run.containers:
            container.afresh()
        shape(world, machine.key)["properties"]["provisioningState"] = "Pending"
    world.state.changed()
    seconds = max(0.0, run.ready_at - world.now)
    return Answer(202, None, operations.begin(world, request, machine.key, "put", seconds, location=True))


def shape(world: World, key: str) -> Document:
    """The machine as a group that runs its containers, each with all of it."""
    if key not in world.state.shapes:
        machine, size = world.state.resources[key], machine_rules.size_of(world.state.resources[key])
        found = boot.containers(machine["properties"])
        for each in found:
            requests = {"cpu": float(size.cpu), "memoryInGB": size.memory_gib * _GIB}
            each["properties"]["resources"] = {"requests": requests}
        world.state.shapes[key] = {
            **{name: machine[name] for name in ("id", "name", "type", "location", "tags")},
            "properties": {
                "restartPolicy": "Always",
                "provisioningState": "Pending",
                "ipAddress": {"type": "Private"},
                "graceSeconds": max((each["properties"]["stopSeconds"] for each in found), default=10.0),
                "containers": found,
            },
        }
    return world.state.shapes[key]


def billed_disk(disk: Document) -> dict[str, float]:
    """What a disk is paid as, whether a machine runs or not: the tier that it has room in."""
    size = int(disk["properties"]["diskSizeGB"])
    return {f"vm.disk.{next(tier for tier, gib in DISKS.items() if gib >= size)}": 1.0}


def tend(world: World, is_answering: Callable[[str, int], bool | None]) -> None:
    """Ends the scripts that wait: their port answers, or a container came and went too often. `is_answering` is told
    the target and the port, and does not know yet where it says None.
    """
    scripts = [(key, one) for key, one in world.state.resources.items() if "/extensions/" in key]
    for key, extension in scripts:
        if type_of(key) != types.EXTENSIONS or extension["properties"]["provisioningState"] != "Creating":
            continue
        run = world.state.runs[key.rpartition("/extensions/")[0]]
        asked = _ASKED.search(extension["properties"]["settings"]["commandToExecute"])
        crashed = [one.name for one in run.containers if one.restarts >= _CRASHES and one.current["state"] != "Running"]
        if crashed:
            extension["properties"]["provisioningState"] = "Failed"
            extension["properties"]["said"] = f"arriero-{crashed[0]}.service ends again and again"
            world.state.changed()
        elif asked and run.phase == "running" and is_answering(run.target, int(asked[1])):
            extension["properties"]["provisioningState"] = "Succeeded"
            world.state.changed()


def _update(world: World, request: Request, machine: ResourceId, body: Document, old: Document) -> Answer:
    machine_rules.check_update(old, body)
    kept = {**old, "tags": body["tags"]}
    if "userData" in body["properties"]:
        kept["properties"]["userData"] = body["properties"]["userData"]  # what runs stays: cloud-init looks once
    world.state.resources[machine.key] = kept
    headers = operations.begin(world, request, machine.key, "put", world.latency.seconds("arm.call"))
    world.state.changed()
    return Answer(200, view(world, machine.key), headers)


def _make_disk(world: World, machine: ResourceId, body: Document) -> Document:
    asked = body["properties"]["storageProfile"]["osDisk"]
    name = asked.setdefault("name", f"{machine.name}_OsDisk_1_{uuid.uuid4().hex}")
    path = f"{machine.scope}/providers/{_DISKS}/{name}".replace("/resourcegroups/", "/resourceGroups/")
    if world.find(path) is not None:
        raise ArmError(409, "ConflictingUserInput", f"Disk {name} already exists in resource group {machine.group}.")
    kind = asked.setdefault("managedDisk", {}).setdefault("storageAccountType", "Standard_LRS")
    disk: Document = {
        "id": path,
        "name": name,
        "type": _DISKS,
        "location": body["location"],
        "tags": dict(body["tags"]),
        "sku": {"name": kind},
        "managedBy": machine.path,
        "properties": {"diskSizeGB": int(asked.get("diskSizeGB") or 64), "provisioningState": "Succeeded"},
    }
    world.state.resources[path.lower()] = disk
    return disk


def _target(world: World, body: Document) -> str:
    """What the machine's servers are kept under: its interface's, which has the address."""
    return target_of(world.state.resources[next(machine_rules.interfaces(body))])


def target_of(interface: Document) -> str:
    return f"{interface['name']}-{interface['properties']['resourceGuid'][:6]}"


def _configuration(interface: Document) -> Document:
    found: Document = interface["properties"]["ipConfigurations"][0]["properties"]
    return found


def _extensions(world: World, key: str) -> list[str]:
    return [each for each in world.state.under(key) if type_of(each) == types.EXTENSIONS]


def _provisioning(world: World, key: str) -> str:
    run = world.state.runs[key]
    if run.phase == "pending" and run.ready_at > world.now:
        return "Creating"
    failed = [each for each in _extensions(world, key) if _state_of(world, each) == "Failed"]
    return "Failed" if failed else "Succeeded"


def _state_of(world: World, extension: str) -> str:
    return str(world.state.resources[extension]["properties"]["provisioningState"])


def _instance_view(world: World, key: str) -> Document:
    run, state = world.state.runs[key], _provisioning(world, key)
    power = {"stopped": "deallocated", "pending": "starting", "evicted": "starting"}.get(run.phase, "running")
    if run.phase == "stopping":
        power = "deallocating" if run.after_stop == "stopped" else "stopping"
    told = {"code": f"ProvisioningState/{state.lower()}", "level": "Info", "displayStatus": f"Provisioning {state}"}
    return {
        "statuses": [told, {"code": f"PowerState/{power}", "level": "Info", "displayStatus": f"VM {power}"}],
        "extensions": [_extension_view(world, each) for each in _extensions(world, key)],
    }


def _extension_view(world: World, key: str) -> Document:
    extension = world.state.resources[key]
    state = {"Creating": "transitioning", "Failed": "failed/1"}.get(_state_of(world, key), "succeeded")
    said = extension["properties"].get("said", "")
    message = f"Enable failed: failed to execute command: command terminated with exit status=1\n{said}" if said else ""
    status = {"code": f"ProvisioningState/{state}", "level": "Error" if said else "Info", "message": message}
    return {"name": extension["name"], "type": "Microsoft.Azure.Extensions.CustomScript", "statuses": [status]}
