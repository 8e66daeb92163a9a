"""Resource groups, the generic lists with their filters, and what is above them: subscription, tenant, providers."""

from __future__ import annotations

import re

from arriero.rehearse.azure import operations, schemas, tags, types
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request
from arriero.rehearse.azure.identity import TENANT
from arriero.rehearse.azure.ids import ResourceId, group_key
from arriero.rehearse.azure.world import SUBSCRIPTION, World

_EQUALS = re.compile(r"\s*(\w+)\s+eq\s+'((?:[^']|'')*)'\s*", re.IGNORECASE)
_LISTED = ("id", "name", "type", "location", "tags", "sku", "kind", "identity", "zones", "managedBy", "plan")


def answer(world: World, request: Request, parts: list[str]) -> Answer:
    """`parts` is the path behind /subscriptions/S/resourceGroups."""
    types.check_type(types.GROUPS, request.query["api-version"], "global")
    if not parts:
        groups = [one for key, one in world.state.resources.items() if key.count("/") == 4]
        return Answer(200, {"value": _filtered(groups, request.query.get("$filter", ""))})
    key = group_key(SUBSCRIPTION, parts[0])
    if parts[1:2] and parts[1].lower() == "resources":
        world.group(SUBSCRIPTION, parts[0])
        return list_resources(world, request, under=f"{key}/")
    if request.method == "PUT":
        return _put(world, request.document(), key, parts[0])
    if request.method == "HEAD":
        return Answer(204 if world.find(key) else 404)
    found = world.group(SUBSCRIPTION, parts[0])
    if request.method == "PATCH":
        return _patch(world, request.document(), found)
    if request.method == "DELETE":
        return _delete(world, request, key)
    return Answer(200, found)


def list_resources(world: World, request: Request, under: str = "") -> Answer:
    """`resources` of the subscription or of a group: top-level resources without their properties, maybe filtered."""
    found = [
        {name: one[name] for name in _LISTED if one.get(name) is not None}
        for key, one in world.state.resources.items()
        if key.startswith(under) and _is_top_level(key)
    ]
    return Answer(200, {"value": _filtered(found, request.query.get("$filter", ""))})


def subscription(request: Request, parts: list[str]) -> Answer:
    """The subscription itself, its regions and its providers; `parts` is the path behind /subscriptions/S."""
    whole = {
        "id": f"/subscriptions/{SUBSCRIPTION}",
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
        "displayName": "Arriero stage",
        "state": "Enabled",
    }
    what = parts[0].lower() if parts else ""
    if not parts:
        return Answer(200, whole)
    if what == "locations":
        places = [
            {"id": f"{whole['id']}/locations/{name}", "name": name, "displayName": name}
            for name in sorted(types.REGIONS)
        ]
        return Answer(200, {"value": places})
    if what == "providers" and len(parts) == 1:
        return Answer(200, {"value": [_provider(name) for name in types.namespaces()]})
    if what == "providers" and len(parts) <= 3:
        return Answer(200, _provider(parts[1]))
    raise ArmError(404, "NotFound", f"There is nothing at '{request.path}'.")


def subscriptions() -> Answer:
    whole = {"id": f"/subscriptions/{SUBSCRIPTION}", "subscriptionId": SUBSCRIPTION, "tenantId": TENANT}
    return Answer(200, {"value": [{**whole, "displayName": "Arriero stage", "state": "Enabled"}]})


def tenants() -> Answer:
    return Answer(200, {"value": [{"id": f"/tenants/{TENANT}", "tenantId": TENANT}]})


def _put(world: World, body: Document, key: str, name: str) -> Answer:
    schemas.check(types.GROUPS, "2022-09-01", (name,), body)
    if not body.get("location"):
        raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
    if not re.fullmatch(r"[-\w.()]{0,89}[-\w()]", name):
        raise ArmError(400, "InvalidResourceGroupName", f"The provided resource group name '{name}' is invalid.")
    wanted = body.get("tags") or {}
    tags.check(types.GROUPS, wanted)
    old, location = world.find(key), types.region(body["location"])
    if old and old["location"] != location:
        message = f"Invalid resource group location '{location}'. The Resource group already exists in location"
        raise ArmError(409, "InvalidResourceGroupLocation", f"{message} '{old['location']}'.")
    world.state.resources[key] = {
        "id": f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{old['name'] if old else name}",
        "name": old["name"] if old else name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": location,
        "tags": wanted,
        "properties": {"provisioningState": "Succeeded"},
    }
    world.state.changed()
    return Answer(200 if old else 201, world.state.resources[key])


def _patch(world: World, body: Document, found: Document) -> Answer:
    if "tags" in body:
        tags.check(types.GROUPS, body["tags"] or {})
        found["tags"] = body["tags"] or {}
        world.state.changed()
    return Answer(200, found)


def _delete(world: World, request: Request, key: str) -> Answer:
    """All in it goes with it; container groups' servers begin to end at once."""
    world.state.resources[key]["properties"]["provisioningState"] = "Deleting"
    for inner in world.state.under(key):
        if inner in world.state.runs:
            world.state.leaving.append(world.state.runs.pop(inner).target)
            world.state.shapes.pop(inner, None)
            del world.state.resources[inner]
    world.state.changed()
    seconds = world.latency.seconds("arm.call")
    return Answer(202, None, operations.begin(world, request, key, "delete", seconds, location=True))


def _is_top_level(key: str) -> bool:
    found = ResourceId.parse(key)
    return found is not None and not found.is_child and not found.is_extension


def _filtered(found: list[Document], text: str) -> list[Document]:
    """`tagName eq 'x' and tagValue eq 'y'`, or `resourceType eq 'T'`; the two cannot be mixed, as in Azure."""
    if not text:
        return found
    wanted: dict[str, str] = {}
    for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE):
        matched = _EQUALS.fullmatch(part)
        if matched is None:
            raise ArmError(
                400, "InvalidFilterInQueryString", f"Invalid $filter '{text}' specified in the query string."
            )
        wanted[matched[1].lower()] = matched[2].replace("''", "'")
    if set(wanted) in ({"tagname"}, {"tagname", "tagvalue"}):
        return [one for one in found if _is_tagged(one, wanted["tagname"], wanted.get("tagvalue"))]
    if set(wanted) <= {"resourcetype", "location", "name", "resourcegroup"}:
        return [one for one in found if _has(one, wanted)]
    raise ArmError(
        400, "InvalidFilterInQueryString", f"Invalid $filter '{text}': tags cannot be mixed with other members."
    )


def _is_tagged(one: Document, name: str, value: str | None) -> bool:
    """Names are compared without their case, values with it."""
    return any(key.lower() == name.lower() and value in (None, text) for key, text in (one.get("tags") or {}).items())


def _has(one: Document, wanted: dict[str, str]) -> bool:
    parts = one["id"].split("/")
    real = {
        "resourcetype": one["type"],
        "location": one.get("location", ""),
        "name": one["name"],
        "resourcegroup": parts[4],
    }
    return all(real[name].lower() == value.lower() for name, value in wanted.items())


def _provider(namespace: str) -> Document:
    names = types.types_of(namespace)
    if not names:
        raise ArmError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
    listed = [
        {
            "resourceType": name,
            "apiVersions": list(types.api_versions(f"{namespace}/{name}")),
            "locations": sorted(types.REGIONS),
        }
        for name in names
    ]
    identifier = f"/subscriptions/{SUBSCRIPTION}/providers/{namespace}"
    return {"id": identifier, "namespace": namespace, "registrationState": "Registered", "resourceTypes": listed}
