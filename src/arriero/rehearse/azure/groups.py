"""Container groups as an API: what a PUT makes of one, what a GET shows, start, stop, restart and logs.

Their containers run elsewhere (`reconciler.py`); the two meet in the group's `GroupRun` under the state's lock.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from arriero.rehearse.azure import group_rules, identities, operations, types
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.runs import ContainerRun, GroupRun, Phase, stamp
from arriero.rehearse.azure.secrets import hidden
from arriero.rehearse.azure.world import World

_LOG_BYTES = 4 * 1024 * 1024
_SPELT = {
    "osType": ("Linux", "Windows"),
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "sku": ("Standard", "Dedicated", "Confidential"),
    "priority": ("Regular", "Spot"),
}


def put(world: World, request: Request, group: ResourceId, body: Document, old: Document | None) -> Answer:
    """Creates the group, or restarts its containers in place with what may be updated."""
    if old is None:
        seconds = make(world, group, body)
        headers = operations.begin(world, request, group.key, "put", seconds)
        return Answer(types.created_status(group.type, existed=False), view(world, group.key), headers)
    _fill_in(body)
    group_rules.check(world, group, body)
    identities.fill_in(world, body)
    run = world.state.runs.get(group.key)
    if run is not None and run.phase in ("succeeded", "failed", "stopped"):
        group_rules.check_room(world, group, body)
        seconds = world.latency.seconds("aci.group_create")
    else:
        group_rules.check_update(old, body)
        seconds = world.latency.seconds("aci.group_create_cached")
    world.state.resources[group.key] = body
    _plan(world, group, body, run, seconds)
    body["properties"]["provisioningState"] = "Pending"
    headers = operations.begin(world, request, group.key, "put", seconds)
    world.state.changed()
    return Answer(types.created_status(group.type, existed=True), view(world, group.key), headers)


def make(world: World, group: ResourceId, body: Document) -> float:
    """Creates a group that is not there; returns the seconds until it runs. Raises ArmError where it can't be."""
    _fill_in(body)
    group_rules.check(world, group, body)
    identities.fill_in(world, body)
    group_rules.check_room(world, group, body)
    seconds = world.latency.seconds("aci.group_create")
    world.state.resources[group.key] = body
    _plan(world, group, body, None, seconds)
    body["properties"]["provisioningState"] = "Pending"
    world.state.changed()
    return seconds


def delete(world: World, group: ResourceId) -> Answer:
    """The group is gone at once; its servers end in their own time."""
    last = view(world, group.key)
    del world.state.resources[group.key]
    world.state.leaving.append(world.state.runs.pop(group.key).target)
    world.state.changed()
    return Answer(200, last)


def view(world: World, key: str, *, with_instances: bool = True) -> Document:
    """The group without its secrets; lists leave the instance views out, as Azure does."""
    shown: Document = hidden(world.state.resources[key])
    run = world.state.runs[key]
    if with_instances:
        shown["properties"]["instanceView"] = {"events": [], "state": run.state}
        for member, records in (("containers", run.containers), ("initContainers", run.init)):
            for container in shown["properties"].get(member) or []:
                record = next(one for one in records if one.name == container["name"])
                container["properties"]["instanceView"] = record.view()
    return shown


def act(world: World, request: Request, asked: ResourceId) -> Answer:
    """start, stop, restart of a group; logs of a container."""
    action = asked.types[-1].lower()
    if asked.types[1].lower() == "containers" and action == "logs" and request.method == "GET":
        return _logs(world, request, asked)
    if request.method != "POST" or len(asked.types) != 2:
        raise ArmError(405, "MethodNotAllowed", f"{request.method} of '{action}' is not allowed on a container group.")
    types.check_type(asked.parent.type, request.query["api-version"], "global")
    group, run = world.resource(asked.parent), world.state.runs[asked.parent.key]
    if action == "start":
        return _start(world, request, asked.parent, group, run)
    if action == "stop":
        _stop(group, run, "stopped")
    elif action == "restart":
        _stop(group, run, "pending")
    else:
        raise ArmError(400, "InvalidAction", f"The action '{action}' of a container group is not known.")
    world.state.changed()
    return Answer(204)


def _start(world: World, request: Request, group: ResourceId, body: Document, run: GroupRun) -> Answer:
    if run.phase in ("stopped", "succeeded", "failed"):
        run.phase, run.ready_at = "pending", world.now + world.latency.seconds("aci.group_create_cached")
        for container in (*run.init, *run.containers):
            container.afresh()
        body["properties"]["provisioningState"] = "Pending"
    seconds = max(0.0, run.ready_at - world.now)
    return Answer(202, None, operations.begin(world, request, group.key, "put", seconds, location=True))


def _stop(group: Document, run: GroupRun, after: Phase) -> None:
    """Has no effect on a group that ended by itself."""
    if run.phase not in ("succeeded", "failed", "stopped"):
        run.phase, run.after_stop = "stopping", after
        group["properties"]["provisioningState"] = "Succeeded" if after == "stopped" else "Pending"


def _logs(world: World, request: Request, asked: ResourceId) -> Answer:
    group, name = asked.parent.parent, asked.names[1]
    world.resource(group)
    record = world.state.runs[group.key].find(name)
    if record is None:
        raise ArmError(404, "ContainerNotFound", f"The container '{name}' was not found in the group '{group.name}'.")
    if not record.log:
        message = f"Log of container '{name}' in container group '{group.name}' is not available yet. Please check"
        raise ArmError(
            404, "ContainerLogNotAvailable", f"{message} container 'InstanceView' for more information or retry later."
        )
    lines = _lines(Path(record.log), record)
    if (tail := request.query.get("tail", "")).isdigit():
        lines = lines[-int(tail) :] if int(tail) else []
    with_moments = request.query.get("timestamps", "").lower() == "true"
    return Answer(200, {"content": "".join(f"{stamp(at)} {line}" if with_moments else line for at, line in lines)})


def _lines(file: Path, record: ContainerRun) -> list[tuple[float, str]]:
    """The file's tail. It has no moments: a line has that of the look which saw it first."""
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        offset = opened.seek(max(record.log_start, size - _LOG_BYTES))
        content = opened.read(size - offset)
    record.saw(size, file.stat().st_mtime)
    found = []
    for raw in content.splitlines(keepends=True):
        offset += len(raw)
        found.append((record.moment_of(offset), raw.decode(errors="replace")))
    return found


def _fill_in(body: Document) -> None:
    properties = body["properties"]
    properties.setdefault("sku", "Standard")
    properties.setdefault("restartPolicy", "Always")
    properties.setdefault("osType", "Linux")
    for member, words in _SPELT.items():
        if member in properties:
            properties[member] = next(word for word in words if word.lower() == str(properties[member]).lower())
    address = properties.get("ipAddress")
    if address is not None:
        address["type"] = str(address["type"]).capitalize()
        for port in address.get("ports") or []:
            port["protocol"] = str(port.get("protocol") or "TCP").upper()
        if address.get("dnsNameLabel"):
            address["fqdn"] = f"{address['dnsNameLabel']}.{body['location']}.azurecontainer.io"
    properties["isCustomProvisioningTimeout"] = False


def _plan(world: World, group: ResourceId, body: Document, run: GroupRun | None, seconds: float) -> None:
    """Replaces the group's run; what runs already is stopped first, and its address stays."""
    properties = body["properties"]
    fresh: dict[str, Any] = {
        "init": [ContainerRun(one["name"]) for one in properties.get("initContainers") or []],
        "containers": [ContainerRun(one["name"]) for one in properties["containers"]],
        "ready_at": world.now + seconds,
    }
    if run is None:
        world.state.runs[group.key] = GroupRun(f"{group.name}-{uuid.uuid4().hex[:6]}", **fresh)
    elif run.phase in ("succeeded", "failed", "stopped"):
        world.state.runs[group.key] = GroupRun(run.target, **fresh)
    else:
        world.state.runs[group.key] = GroupRun(run.target, phase="stopping", after_stop="pending", **fresh)
