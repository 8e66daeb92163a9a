"""Container apps as an API: what a PUT makes of one, what a GET shows of it and of its replicas, start and stop.

An app's replica is run as a container group's containers are (`reconciler.py`): `shape` says of the app what one says
of a group. Here are apps with one replica, always, in single-revision mode; those behind HTTPS ingress, which may have
more, are in `replicas.py`; all others are refused.
"""

from __future__ import annotations

import copy
import uuid
from typing import Any

from arriero.catalog import gpu_machines
from arriero.rehearse.azure import app_rules, group_rules, machine_rules, machines, operations, replicas, types
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.runs import ContainerRun, GroupRun
from arriero.rehearse.azure.world import World

_GIB = 2**30 / 10**9


def put(world: World, request: Request, app: ResourceId, body: Document, old: Document | None) -> Answer:
    """Makes the app. One that stands would get another revision, which is not emulated: nobody asks for that."""
    if replicas.are_of(body):
        return replicas.put(world, request, app, body, old)
    if old is not None:
        raise ArmError(501, "NotImplemented", "A second revision of a container app is not emulated.")
    app_rules.check_app(world, app, body)
    _fill_in(app, body)
    seconds = world.latency.seconds("aci.group_create")
    world.state.resources[app.key] = body
    names = [one["name"] for one in body["properties"]["template"]["containers"]]
    run = GroupRun(f"{app.name}-{uuid.uuid4().hex[:6]}", world.now + seconds, containers=list(map(ContainerRun, names)))
    world.state.runs[app.key] = run
    headers = operations.begin(world, request, app.key, "put", seconds)
    world.state.changed()
    return Answer(201, view(world, app.key), headers)


def delete(world: World, request: Request, app: ResourceId) -> Answer:
    """The app is gone at once; its servers end in their own time, as Azure's Location tells until it is done."""
    if replicas.are_of(world.state.resources[app.key]):
        return replicas.delete(world, request, app)
    del world.state.resources[app.key]
    world.state.shapes.pop(app.key, None)
    world.state.leaving.append(world.state.runs.pop(app.key).target)
    headers = operations.begin(world, request, app.key, "gone", world.latency.seconds("arm.call"), location=True)
    world.state.changed()
    return Answer(202, None, headers)


def view(world: World, key: str) -> Document:
    """The app with its states."""
    if replicas.are_of(world.state.resources[key]):
        return replicas.view(world, key)
    shown: Document = copy.deepcopy(world.state.resources[key])
    run, properties = world.state.runs[key], shown["properties"]
    state = str(shape(world, key)["properties"]["provisioningState"])
    properties["provisioningState"] = {"Pending": "InProgress", "Creating": "InProgress"}.get(state, state)
    stopped = run.phase == "stopped" or (run.phase == "stopping" and run.after_stop == "stopped")
    properties["runningStatus"] = "Stopped" if stopped else "Running" if run.phase == "running" else "Progressing"
    if stopped:
        properties["provisioningState"] = "Succeeded"
    if run.phase == "running":
        properties["latestReadyRevisionName"] = properties["latestRevisionName"]
    return shown


def act(world: World, request: Request, asked: ResourceId) -> Answer:
    """start and stop of an app; the replicas of its revision."""
    path = tuple(each.lower() for each in asked.types[1:])
    app = ResourceId(asked.scope, asked.subscription, asked.group, asked.namespace, asked.types[:1], asked.names[:1])
    types.check_type(app.type, request.query["api-version"], "global")
    body = world.resource(app)
    if replicas.are_of(body) and path == ("revisions", "replicas") and request.method == "GET":
        return replicas.told(world, app, asked.names[1])
    if replicas.are_of(body):
        raise ArmError(501, "NotImplemented", f"'{'/'.join(path)}' of an app behind HTTPS ingress is not emulated.")
    if path == ("revisions", "replicas") and request.method == "GET":
        return _replicas(world, app, body, asked.names[1])
    if request.method != "POST" or path not in (("start",), ("stop",)):
        message = f"{request.method} of '{'/'.join(path)}' is not emulated for a container app."
        raise ArmError(405, "MethodNotAllowed", message)
    run = world.state.runs[app.key]
    if path == ("stop",) and run.phase not in ("stopped", "stopping"):
        run.phase, run.after_stop = "stopping", "stopped"
    elif path == ("start",) and run.phase == "stopping":
        run.after_stop = "pending"
    elif path == ("start",) and run.phase == "stopped":
        run.phase, run.ready_at = "pending", world.now + world.latency.seconds("aci.group_create_cached")
        for container in run.containers:
            container.afresh()
        shape(world, app.key)["properties"]["provisioningState"] = "Pending"
    world.state.changed()
    seconds = max(0.0, run.ready_at - world.now)
    return Answer(202, view(world, app.key), operations.begin(world, request, app.key, "put", seconds, location=True))


def shape(world: World, key: str) -> Document:
    """What the reconciler works from: the resource itself; of an app, or a virtual machine, what a group would be that
    runs its containers.
    """
    resource = world.state.resources[key]
    if type_of(key) == types.VIRTUAL_MACHINES:
        return machines.shape(world, key)
    if type_of(key) != types.CONTAINER_APPS:
        return resource
    if key not in world.state.shapes:
        world.state.shapes[key] = _shaped(resource)
    return world.state.shapes[key]


def billed(world: World, key: str) -> dict[str, float]:
    """What a running group, app or machine uses, by item of the price list; an app has a GPU by its profile."""
    if type_of(key) == types.VIRTUAL_MACHINES:
        return {f"vm.{machine_rules.size_of(world.state.resources[key]).name}": 1.0}
    resource, group = world.state.resources[key], shape(world, key)
    asked = [group_rules.requests(one) for one in group["properties"]["containers"]]
    cpu, memory = group_rules.cores(group), sum(float(one.get("memoryInGB", 0)) for one in asked)
    if type_of(key) == types.CONTAINER_GROUPS:
        return {"aci.vcpu": cpu, "aci.memory": memory}
    profile = str(resource["properties"].get("workloadProfileName", ""))  # of a replica none: it has no GPU
    gpu = {f"aca.gpu.{each.gpu}": 1.0 for each in gpu_machines.machines("azure") if each.name == profile}
    return {"aca.vcpu": cpu, "aca.memory": memory / _GIB, **gpu}


def _shaped(app: Document) -> Document:
    template = app["properties"]["template"]
    port = int(((app["properties"].get("configuration") or {}).get("ingress") or {}).get("targetPort") or 0)
    containers = [_container(each, port) for each in template["containers"]]
    return {
        **{name: app[name] for name in ("id", "name", "type", "location", "tags")},
        "properties": {
            "restartPolicy": "Always",
            "provisioningState": "Pending",
            "ipAddress": {"type": "Private"},
            "graceSeconds": template.get("terminationGracePeriodSeconds"),
            "containers": containers,
        },
    }


def _container(container: Document, port: int) -> Document:
    resources = container["resources"]
    memory = float(str(resources["memory"]).removesuffix("Gi")) * _GIB
    properties: dict[str, Any] = {
        "image": container["image"],
        "command": [*(container.get("command") or ()), *(container.get("args") or ())],
        "environmentVariables": list(container.get("env") or ()),
        "ports": [{"port": port}] if port else [],
        "resources": {"requests": {"cpu": float(resources["cpu"]), "memoryInGB": memory}},
    }
    return {"name": container["name"], "properties": properties}


def _replicas(world: World, app: ResourceId, body: Document, revision: str) -> Answer:
    if revision != body["properties"]["latestRevisionName"]:
        raise ArmError(404, "RevisionNotFound", f"The revision '{revision}' of '{app.name}' was not found.")
    run = world.state.runs[app.key]
    if run.phase not in ("running", "stopping"):
        return Answer(200, {"value": []})
    name = f"{revision}-{run.target.rpartition('-')[2]}"
    containers = [_told(record) for record in run.containers]
    running = all(each["ready"] for each in containers)
    properties = {"runningState": "Running" if running else "NotRunning", "containers": containers}
    path = f"{app.path}/revisions/{revision}/replicas/{name}"
    kind = "Microsoft.App/containerApps/revisions/replicas"
    return Answer(200, {"value": [{"id": path, "name": name, "type": kind, "properties": properties}]})


def _told(record: ContainerRun) -> Document:
    """A container of a replica in the API's words."""
    state = str(record.current["state"])
    detail = str(record.current.get("detailStatus") or "")
    if state == "Terminated":
        detail = f"exit code {record.current.get('exitCode')}"
    elif record.previous and state != "Running":
        detail = f"{detail} (exit code {record.previous.get('exitCode')})"
    return {
        "name": record.name,
        "ready": state == "Running",
        "started": state == "Running",
        "restartCount": record.restarts,
        "runningState": state,
        "runningStateDetails": detail,
    }


def _fill_in(app: ResourceId, body: Document) -> None:
    properties = body["properties"]
    scale = properties["template"].get("scale") or {}
    configuration = properties.setdefault("configuration", {})
    mode = str(configuration.get("activeRevisionsMode", "Single")).lower()
    if (scale.get("minReplicas"), scale.get("maxReplicas"), mode) != (1, 1, "single"):
        message = "Only container apps with one replica, always, and a single revision are emulated."
        raise ArmError(501, "NotImplemented", message)
    configuration["activeRevisionsMode"] = "Single"
    properties["environmentId"] = properties.get("environmentId") or properties["managedEnvironmentId"]
    properties["managedEnvironmentId"] = properties["environmentId"]
    properties["latestRevisionName"] = f"{app.name}--{uuid.uuid4().hex[:7]}"
    ingress = configuration.get("ingress")
    if ingress is not None:
        ingress["transport"] = str(ingress.get("transport") or "Auto").capitalize()
        ingress.setdefault("allowInsecure", False)
        ingress["traffic"] = [{"weight": 100, "latestRevision": True}]
        ingress["fqdn"] = f"{app.name}.emulated.{body['location']}.azurecontainerapps.io"
    for container in properties["template"]["containers"]:
        container["resources"]["ephemeralStorage"] = "8Gi"
