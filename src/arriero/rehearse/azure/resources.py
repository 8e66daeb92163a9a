"""Resources of any type: PUT, GET, HEAD, PATCH, DELETE, lists and actions, as Resource Manager answers them."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from arriero.rehearse.azure import (
    accounts,
    app_rules,
    apps,
    front_door_names,
    front_door_plan,
    groups,
    machine_network,
    machine_rules,
    machines,
    network,
    operations,
    private_link,
    schemas,
    standby_pools,
    tags,
    types,
)
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request, invalid_content
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.runs import stamp
from arriero.rehearse.azure.secrets import hidden
from arriero.rehearse.azure.world import World

# What some providers report and nobody can put; intelligence packs come as a bare list, unlike all others.
_REPORTS: dict[str, Any] = {"intelligencepacks": [], "managementgroups": {"value": []}, "usages": {"value": []}}
_UNCOMPARED = ("etag", "systemData")


def answer(world: World, request: Request, resource: ResourceId) -> Answer:
    """Dispatches by method; the type and its version are checked first, as Resource Manager does."""
    if resource.group:
        world.group(resource.subscription, resource.group)
    if not resource.is_resource:
        return _collection_or_action(world, request, resource)
    types.check_type(resource.type, request.query["api-version"], _region_of(world, resource))
    if request.method == "PUT":
        return _put(world, request, resource, request.document())
    if request.method == "DELETE":
        return _delete(world, request, resource)
    found = world.resource(resource)
    if request.method == "PATCH":
        return _patch(world, request, resource, found)
    if request.method == "HEAD":
        return Answer(204)
    if request.method == "GET" and resource.type.lower() == types.VIRTUAL_MACHINES:
        return Answer(200, machines.view(world, resource.key, request.query.get("$expand", "")))
    if request.method == "GET":
        return Answer(200, shown(world, resource.key))
    raise ArmError(405, "MethodNotAllowed", f"The method {request.method} is not allowed on a resource.")


def shown(world: World, key: str) -> Document:
    """What a GET shows."""
    stored = world.state.resources[key]
    if type_of(key) == types.CONTAINER_GROUPS:
        return groups.view(world, key)
    if type_of(key) == types.CONTAINER_APPS:
        return apps.view(world, key)
    if type_of(key) == types.VIRTUAL_MACHINES:
        return machines.view(world, key)
    found: Document = hidden(stored)
    network.view(world.state, key, found)
    machine_network.view(world.state, key, found)
    private_link.view(world.state, key, found)
    front_door_plan.view(key, found)
    return found


def listed(world: World, key: str) -> Document:
    """What a list of one type shows: container groups come without their instance views there."""
    return (
        groups.view(world, key, with_instances=False) if type_of(key) == types.CONTAINER_GROUPS else shown(world, key)
    )


def _put(world: World, request: Request, resource: ResourceId, body: Document) -> Answer:
    version = request.query["api-version"]
    schemas.check(resource.type, version, resource.names, body)
    old = world.find(resource.key)
    body = _completed(world, resource, body, old)
    if resource.type.lower() == types.CONTAINER_GROUPS and standby_pools.is_request(body):
        return standby_pools.take(world, request, resource, body, old)
    if resource.type.lower() == types.CONTAINER_GROUPS:
        return groups.put(world, request, resource, body, old)
    if resource.type.lower() == types.CONTAINER_APPS:
        return apps.put(world, request, resource, body, old)
    if resource.type.lower() == types.VIRTUAL_MACHINES:
        return machines.put(world, request, resource, body, old)
    if resource.type.lower() == types.EXTENSIONS:
        return machines.put_extension(world, request, resource, body)
    if resource.type.lower() == types.INTERFACES:
        machine_rules.check_new_interface(world, resource, body)
        machine_network.prepare(body, old)
    if resource.type.lower() == types.ENVIRONMENTS:
        app_rules.check_environment(world, resource, body, old)
        if old and (address := old["properties"].get("staticIp")):
            body["properties"]["staticIp"] = address
        body["properties"]["defaultDomain"] = app_rules.domain(body, old)
    stored = _put_with_children(world, resource, body, old)
    status = types.created_status(resource.type, existed=old is not None)
    headers: dict[str, str] = {}
    if types.is_long_running(resource.type):
        stored["properties"]["provisioningState"] = "Updating" if old else "Creating"
        headers = operations.begin(world, request, resource.key, "put", world.latency.seconds("arm.network_create"))
    world.state.changed()
    return Answer(status, shown(world, resource.key), headers)


def _completed(world: World, resource: ResourceId, body: Document, old: Document | None) -> Document:
    """The body with location, id, name and type; refuses what needs a parent, a place or other tags."""
    if resource.is_child:
        accounts.add_services(world, resource.parent)
        accounts.check_parent(resource, world.resource(resource.parent))
        tags.check(resource.type, body.get("tags") or {})
    elif resource.is_extension:
        if world.find(resource.scope) is None:
            raise ArmError(404, "ResourceNotFound", f"The scope '{resource.scope}' was not found.")
    else:
        body["tags"] = body.get("tags") or {}
        tags.check(resource.type, body["tags"])
        body["location"] = types.region(str(body.get("location") or _missing_location()))
        if old and old["location"] != body["location"]:
            message = (
                f"The resource '{resource.name}' already exists in location '{old['location']}'. A resource with the"
            )
            raise ArmError(
                409, "InvalidResourceLocation", f"{message} same name cannot be created in '{body['location']}'."
            )
    return {**body, "id": resource.path, "name": resource.name, "type": types.spelt(resource.type)}


def _missing_location() -> str:
    raise ArmError(400, "LocationRequired", "The location property is required for this definition.")


def _store(world: World, resource: ResourceId, body: Document, old: Document | None) -> Document:
    network.prepare(world.state, resource, body)
    private_link.prepare(world.state, resource, body)
    front_door_names.prepare(world, resource, body)
    front_door_plan.prepare(world.state, resource, body, world.address)
    accounts.prepare(resource, body, stamp(world.now))
    standby_pools.prepare(world, resource, body, old)
    body["properties"]["provisioningState"] = "Succeeded"
    same = old is not None and _compared(old) == _compared(body)
    body["etag"] = old["etag"] if old and same else f'W/"{uuid.uuid4()}"'
    world.state.resources[resource.key] = body
    return body


def _compared(resource: Document) -> Document:
    return {name: value for name, value in resource.items() if name not in _UNCOMPARED}


def _put_with_children(world: World, resource: ResourceId, body: Document, old: Document | None) -> Document:
    """All or nothing: a child that is refused takes its parent with it."""
    before = dict(world.state.resources)
    try:
        embedded = _take_embedded(resource, body)
        stored = _store(world, resource, body, old)
        if embedded is not None:
            _put_embedded(world, resource, embedded)
    except ArmError:
        world.state.resources = before
        raise
    return stored


def _take_embedded(resource: ResourceId, body: Document) -> list[Document] | None:
    member = network.EMBEDDED.get(resource.type.lower())
    found: list[Document] | None = (body.get("properties") or {}).pop(member, None) if member else None
    if member == "securityRules":
        network.check_rules(found or [])
    return found


def _put_embedded(world: World, parent: ResourceId, wanted: list[Document]) -> None:
    """The list replaces all children: what it does not name goes, unless it is in use."""
    member = network.EMBEDDED[parent.type.lower()]
    names = {child["name"].lower() for child in wanted}
    for key in network.children(world.state, parent.key):
        if key.rpartition("/")[2] not in names:
            network.check_unused(world.state, key)
            del world.state.resources[key]
    for child in wanted:
        resource = ResourceId.parse(f"{parent.path}/{member}/{child['name']}")
        if resource is None:
            raise invalid_content(f"names a child '{child['name']}' that cannot be")
        old = world.find(resource.key)
        _store(world, resource, _completed(world, resource, copy.deepcopy(child), old), old)


def _patch(world: World, request: Request, resource: ResourceId, found: Document) -> Answer:
    change = request.document()
    if "tags" in change:
        tags.check(resource.type, change["tags"] or {})
    if set(change) <= {"tags"}:
        found["tags"] = change.get("tags") or {}
        world.state.changed()
        return Answer(200, shown(world, resource.key))
    merged = _merged(copy.deepcopy(found), change)
    whole = _put(world, request, resource, {k: v for k, v in merged.items() if k not in ("id", "name", "type", "etag")})
    return Answer(200, whole.body, whole.headers)


def _merged(found: Document, change: Document) -> Document:
    for name, value in change.items():
        inner = found.get(name)
        mergeable = isinstance(value, dict) and isinstance(inner, dict) and name != "tags"
        found[name] = _merged(inner, value) if mergeable and isinstance(inner, dict) else value
    return found


def _delete(world: World, request: Request, resource: ResourceId) -> Answer:
    if world.find(resource.key) is None:
        return Answer(204)
    network.check_unused(world.state, resource.key)
    private_link.check_unused(world.state, resource.key)
    app_rules.check_unused(world.state, resource.key)
    machine_rules.check_unused(world.state, resource.key)
    front_door_plan.check_unused(world.state, resource.key)
    front_door_names.check_unused(world, resource.key)
    if resource.type.lower() == types.CONTAINER_GROUPS:
        return groups.delete(world, resource)
    if resource.type.lower() == types.CONTAINER_APPS:
        return apps.delete(world, request, resource)
    if resource.type.lower() == types.VIRTUAL_MACHINES:
        return machines.delete(world, request, resource)
    world.state.changed()
    if types.is_long_running(resource.type):
        seconds = world.latency.seconds("arm.call")
        world.state.resources[resource.key]["properties"]["provisioningState"] = "Deleting"
        return Answer(202, None, operations.begin(world, request, resource.key, "delete", seconds, location=True))
    for key in world.state.under(resource.key):
        del world.state.resources[key]
    return Answer(200)


def _collection_or_action(world: World, request: Request, resource: ResourceId) -> Answer:
    if resource.type.lower().startswith(types.CONTAINER_GROUPS) and resource.is_child:
        return groups.act(world, request, resource)
    if resource.type.lower().startswith(types.CONTAINER_APPS) and resource.is_child:
        return apps.act(world, request, resource)
    if resource.type.lower().startswith(types.VIRTUAL_MACHINES) and resource.is_child:
        return machines.act(world, request, resource)
    if request.method == "POST":
        return _act(world, resource)
    if request.method != "GET":
        raise ArmError(405, "MethodNotAllowed", f"The method {request.method} is not allowed on a collection.")
    if (report := _REPORTS.get(resource.types[-1].lower())) is not None:
        return Answer(200, report)
    types.check_type(resource.type, request.query["api-version"], "global")
    if resource.is_child:
        world.resource(resource.parent)
    keys = [key for key in world.state.resources if _is_in(key, resource)]
    return Answer(200, {"value": [listed(world, key) for key in keys]})


def _is_in(key: str, collection: ResourceId) -> bool:
    found = ResourceId.parse(key)
    if found is None or found.type.lower() != collection.type.lower():
        return False
    if collection.group is None and not collection.is_child:
        return found.subscription == collection.subscription
    return key.startswith(f"{collection.key}/")


def _act(world: World, resource: ResourceId) -> Answer:
    action = resource.types[-1]
    if action.lower() == "checknameavailability":
        return Answer(200, {"nameAvailable": True})
    world.resource(resource.parent)
    found = front_door_names.act(world, resource.parent, action) or accounts.act(resource.parent, action)
    if found is None:
        raise ArmError(400, "InvalidAction", f"The action '{action}' of '{resource.parent.type}' is not known.")
    return found


def _region_of(world: World, resource: ResourceId) -> str:
    found: Any = world.find(resource.key) or (
        world.group(resource.subscription, resource.group) if resource.group else {}
    )
    return str(found.get("location", "global"))
