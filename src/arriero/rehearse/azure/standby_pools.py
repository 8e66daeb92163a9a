"""Standby pools of container groups, and the profiles that they make groups from.

A pool holds started groups ready, hands one out to a request that names it and the revision of its profile, and makes
another one in its place; a pool that follows another revision replaces all of them. That is as on Microsoft's pages
"Standby pools for Azure Container Instances", "Request a container", "Update or delete a standby pool" and "Understand
the health state". Which they leave open, and we chose: ready groups stand in listings under names of the pool's own,
with the profile's tags, and each PUT of a profile is a new revision.
"""

from __future__ import annotations

import copy
import uuid

from arriero.rehearse.azure import groups, operations, types
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request
from arriero.rehearse.azure.ids import ResourceId, group_key, type_of
from arriero.rehearse.azure.types import CONTAINER_GROUPS
from arriero.rehearse.azure.world import World

POOLS, PROFILES = (
    "microsoft.standbypool/standbycontainergrouppools",
    "microsoft.containerinstance/containergroupprofiles",
)
PAUSE_SECONDS = 30.0  # a degraded pool makes nothing for so long
_OF_A_PROFILE = ("revision", "registeredRevisions", "provisioningState")
_OF_A_REQUEST = ("containerGroupProfile", "standbyPoolProfile", "subnetIds", "containers")


def prepare(world: World, resource: ResourceId, body: Document, old: Document | None) -> None:
    """Gives a profile its next revision, which stays; refuses a pool of what is not there."""
    kind = resource.type.lower()
    if kind == PROFILES:
        properties = body["properties"]
        known = list(old["properties"]["registeredRevisions"]) if old else []
        number = max(known, default=0) + 1
        properties.update(revision=number, registeredRevisions=[*known, number])
        world.state.resources[_revision_key(resource.key, number)] = copy.deepcopy(body)
    elif kind == POOLS:
        made_of = body["properties"]["containerGroupProperties"]
        profile = _profile(world, made_of["containerGroupProfile"], body["location"])
        made_of["containerGroupProfile"]["revision"] = profile["properties"]["revision"]


def is_asked(wanted: ResourceId) -> bool:
    """Whether it is how a pool is: its runtime view."""
    return wanted.type.lower() == f"{POOLS}/runtimeviews"


def runtime_view(world: World, wanted: ResourceId) -> Answer:
    pool = world.resource(wanted.parent)
    if not wanted.is_resource or wanted.name.lower() != "latest":
        raise ArmError(404, "NotFound", "A standby pool has the runtime view 'latest' only.")
    phases = [world.state.runs[key].phase for key in _members(world, wanted.parent.key)]
    running = sum(phase == "running" for phase in phases)
    counts = {"creating": len(phases) - running, "starting": 0, "running": running, "deleting": 0}
    trouble = world.state.pool_troubles.get(wanted.parent.key)
    status = {"code": "HealthState/degraded", "message": trouble["message"]} if trouble else _WELL
    properties = {
        "instanceCountSummary": [
            {"instanceCountsByState": [{"state": state, "count": count} for state, count in counts.items()]}
        ],
        "provisioningState": pool["properties"]["provisioningState"],
        "status": status,
    }
    return Answer(200, {"id": wanted.path, "name": "latest", "type": wanted.type, "properties": properties})


_WELL = {"code": "HealthState/healthy", "message": "The pool is healthy."}


def tend(world: World) -> None:
    """Has every pool hold what it should: what is of another revision or too many goes, what lacks is begun."""
    state = world.state
    for key in [key for key in state.spares if key not in state.resources]:
        del state.spares[key]
    pools = {key for key in state.resources if "/microsoft.standbypool/" in key and type_of(key) == POOLS}
    for key in [key for key, spare in state.spares.items() if spare["pool"] not in pools]:
        _dismiss(world, key)
    for key in pools:
        _tend_one(world, key, state.resources[key])


def is_request(body: Document) -> bool:
    return "containerGroupProfile" in body["properties"] or "standbyPoolProfile" in body["properties"]


def take(world: World, request: Request, group: ResourceId, body: Document, old: Document | None) -> Answer:
    """Hands out a spare under the asked name, or makes the group from the profile where none is ready."""
    properties = body["properties"]
    if old is not None:
        raise ArmError(409, "ContainerGroupExists", f"The container group '{group.name}' is there already.")
    _check_request(properties)
    profile = _profile(world, properties.get("containerGroupProfile") or {}, body["location"])
    wanted = profile["properties"]["revision"]
    asked = properties.get("standbyPoolProfile") or {}
    pool = str(asked.get("id", "")).lower()
    if asked and world.find(pool) is None:
        raise ArmError(400, "StandbyPoolNotFound", f"The standby pool '{asked.get('id')}' was not found.")
    ready = [
        key
        for key in _members(world, pool)
        if world.state.spares[key]["revision"] == wanted and world.state.runs[key].phase == "running"
    ]
    if ready:
        return _hand_out(world, request, group, body, ready[0])
    if asked.get("failContainerGroupCreateOnReuseFailure"):
        raise ArmError(409, "StandbyPoolReuseFailed", f"No container group of the standby pool '{pool}' is ready.")
    told = {key: value for key, value in properties.items() if key != "containers"}
    body["properties"] = {**_made_of(profile), **told, "isCreatedFromStandbyPool": False}
    return groups.put(world, request, group, body, old)


def _tend_one(world: World, key: str, pool: Document) -> None:
    properties = pool["properties"]
    wanted = 0 if _is_leaving(world, pool) else properties["elasticityProfile"]["maxReadyCapacity"]
    made_of = properties["containerGroupProperties"]
    revision = made_of["containerGroupProfile"]["revision"]
    members = _members(world, key)
    right = [each for each in members if world.state.spares[each]["revision"] == revision][: int(wanted)]
    for each in members:
        if each not in right:
            _dismiss(world, each)
    trouble = world.state.pool_troubles.get(key)
    if len(right) >= wanted or (trouble and world.now < trouble["until"]):
        return
    try:
        for _ in range(int(wanted) - len(right)):
            _begin(world, key, pool, revision)
        world.state.pool_troubles.pop(key, None)
    except ArmError as error:
        world.state.pool_troubles[key] = {"until": world.now + PAUSE_SECONDS, "message": error.message}
    world.state.changed()


def _is_leaving(world: World, pool: Document) -> bool:
    """By itself, or with its resource group."""
    where = ResourceId.parse(pool["id"])
    assert where is not None
    parent = world.find(group_key(where.subscription, where.group or ""))
    return parent is None or "Deleting" in (pool["properties"]["provisioningState"], _state(parent))


def _state(resource: Document) -> str:
    return str(resource["properties"].get("provisioningState", ""))


def _begin(world: World, key: str, pool: Document, revision: int) -> None:
    made_of = pool["properties"]["containerGroupProperties"]
    profile = _profile(world, made_of["containerGroupProfile"], pool["location"])
    where = ResourceId.parse(pool["id"])
    assert where is not None
    name = f"{pool['name'].lower()}-{uuid.uuid4().hex[:8]}"
    path = f"{where.scope}/providers/{types.spelt(CONTAINER_GROUPS)}/{name}"
    group = ResourceId.parse(path)
    assert group is not None
    properties = {**_made_of(profile), "subnetIds": made_of.get("subnetIds") or [], "isCreatedFromStandbyPool": True}
    whole = {"id": group.path, "name": name, "type": types.spelt(CONTAINER_GROUPS), "location": pool["location"]}
    body = {**whole, "tags": dict(profile.get("tags") or {}), "properties": properties}
    groups.make(world, group, body)
    world.state.spares[group.key] = {"pool": key, "revision": revision}


def _hand_out(world: World, request: Request, group: ResourceId, body: Document, member: str) -> Answer:
    state, seconds = world.state, world.latency.seconds("aci.spare_taken")
    spare, run = state.resources.pop(member), state.runs.pop(member)
    del state.spares[member]
    asked = {key: body["properties"][key] for key in ("containerGroupProfile", "standbyPoolProfile")}
    properties = {**spare["properties"], **asked, "provisioningState": "Pending"}
    state.resources[group.key] = {**body, "properties": properties}
    run.ready_at = world.now + seconds
    state.runs[group.key] = run
    state.changed()
    headers = operations.begin(world, request, group.key, "put", seconds)
    return Answer(201, groups.view(world, group.key), headers)


def _dismiss(world: World, key: str) -> None:
    del world.state.spares[key]
    if key in world.state.resources:
        del world.state.resources[key]
        world.state.leaving.append(world.state.runs.pop(key).target)
    world.state.changed()


def _members(world: World, pool: str) -> list[str]:
    return [key for key, spare in world.state.spares.items() if spare["pool"] == pool]


def _check_request(properties: Document) -> None:
    """In the words that https://github.com/Azure/azure-cli/issues/30898 quotes."""
    said = [key for each in properties["containers"] for key in each["properties"] if key != "configMap"]
    if said or [key for key in properties if key not in _OF_A_REQUEST]:
        raise ArmError(400, "BadRequest", "ContainerGroup properties other than config map are not allowed")


def _profile(world: World, asked: Document, location: str) -> Document:
    """That revision of the profile; the newest where none is said."""
    found = world.find(str(asked.get("id", "")))
    if found is None or type_of(str(asked.get("id", ""))) != PROFILES:
        message = f"The container group profile '{asked.get('id')}' was not found."
        raise ArmError(400, "ContainerGroupProfileNotFound", message)
    number = asked.get("revision") or found["properties"]["revision"]
    revision = world.find(_revision_key(asked["id"].lower(), number))
    if revision is None:
        message = f"The container group profile '{found['name']}' has no revision {number}."
        raise ArmError(400, "ContainerGroupProfileRevisionNotFound", message)
    if revision["location"] != location:
        message = f"The container group profile '{found['name']}' is in '{revision['location']}', not '{location}'."
        raise ArmError(400, "InvalidContainerGroupProfileLocation", message)
    return revision


def _made_of(profile: Document) -> Document:
    found: Document = copy.deepcopy(profile["properties"])
    return {key: value for key, value in found.items() if key not in _OF_A_PROFILE}


def _revision_key(profile: str, number: int) -> str:
    return f"{profile}/revisions/{number}"
