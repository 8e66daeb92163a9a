"""Which part answers a request to management.azure.com."""

from __future__ import annotations

from arriero.rehearse.azure import (
    alert_status,
    billing,
    monitor,
    operations,
    resource_groups,
    resources,
    standby_pools,
    usages,
)
from arriero.rehearse.azure.answers import Answer, ArmError, Request
from arriero.rehearse.azure.faults import Faults
from arriero.rehearse.azure.ids import ResourceId, group_key
from arriero.rehearse.azure.log import is_writing
from arriero.rehearse.azure.world import SUBSCRIPTION, World


def answer(world: World, faults: Faults, request: Request) -> Answer:
    """The answer, or the ArmError that refuses; holds the state's lock, so that requests are one after the other."""
    if not request.query.get("api-version"):
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError(400, "MissingApiVersionParameter", message)
    parts = request.path.strip("/").split("/")
    top = parts[0].lower()
    if top == "tenants":
        return resource_groups.tenants()
    if top != "subscriptions":
        raise ArmError(404, "NotFound", f"There is nothing at '{request.path}'.")
    if len(parts) == 1:
        return resource_groups.subscriptions()
    if parts[1].lower() != SUBSCRIPTION:
        raise ArmError(404, "SubscriptionNotFound", f"The subscription '{parts[1]}' could not be found.")
    with world.state.lock:
        return _in_subscription(world, faults, request, parts[2:])


def region(world: World, request: Request) -> str:
    """Where the request goes: the resource's own region, else the one asked for, else its group's; maybe empty."""
    wanted = ResourceId.parse(request.path)
    body = request.document() if request.method == "PUT" and request.is_readable else {}
    parts = request.path.strip("/").split("/")
    if place := usages.region(parts[2:]):
        return place
    keys = [wanted.key, wanted.parent.key] if wanted and wanted.types else []
    groups = [group_key(parts[1], parts[3])] if len(parts) > 3 and parts[2].lower() == "resourcegroups" else []
    places = [*(world.find(key) for key in keys), body, *(world.find(key) for key in groups)]
    found = next((place["location"] for place in places if place and place.get("location")), "")
    return str(found).replace(" ", "").lower()


def _in_subscription(world: World, faults: Faults, request: Request, parts: list[str]) -> Answer:
    what = parts[0].lower() if parts else ""
    if operations.is_asked(parts):
        return operations.answer(world, request, parts[5])
    operations.finish_due(world)
    faults.check(region(world, request), writes=is_writing(request))
    if billing.is_asked(parts):
        return billing.answer(world.meter, request)
    if place := usages.region(parts):
        return usages.answer(world, place, parts)
    if what == "resources" and request.method == "GET":
        return resource_groups.list_resources(world, request)
    if what == "resourcegroups" and len(parts) <= 3:
        return resource_groups.answer(world, request, parts[1:])
    wanted = ResourceId.parse(request.path)
    if wanted is not None and monitor.is_asked(wanted):
        return monitor.answer(world, request, wanted)
    if wanted is not None and alert_status.is_asked(wanted):
        return alert_status.answer(world, wanted)
    if wanted is not None and standby_pools.is_asked(wanted):
        return standby_pools.runtime_view(world, wanted)
    if wanted is None or (not wanted.names and not wanted.group and len(parts) <= 2):
        return resource_groups.subscription(request, parts)
    return resources.answer(world, request, wanted)
