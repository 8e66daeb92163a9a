"""Long-running operations: begun by a PUT, POST or DELETE, polled at a URL, ended by time or by the reconciler."""

from __future__ import annotations

import uuid

from arriero.rehearse.azure.answers import Answer, ArmError, Request
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.state import Operation
from arriero.rehearse.azure.types import CONTAINER_APPS, CONTAINER_GROUPS, EXTENSIONS, VIRTUAL_MACHINES
from arriero.rehearse.azure.world import World

_KEPT = 500
_OF_PRIVATE_ZONES = "privateDnsOperationStatuses"
# Those of a Front Door are in its group, and say what they are about: `…/operationresults/ID/profileresults/NAME/…`. To
# read each kind is an action of its own:
# https://learn.microsoft.com/azure/role-based-access-control/permissions/networking
_OF_FRONT_DOORS = "microsoft.cdn"
# The SDKs ignore `Retry-After: 0` and then wait 30 s; they honour milliseconds.
_POLL_MILLISECONDS, _SLOWEST_POLL_MILLISECONDS = 50, 1000


def begin(
    world: World, request: Request, key: str, kind: str, seconds: float, *, location: bool = False
) -> dict[str, str]:
    """Starts one; returns the headers that say where it is polled, in the style of `Location` if asked for."""
    name = str(uuid.uuid4())
    world.state.operations[name] = Operation(key, kind, world.now + seconds)
    _forget_old(world)
    is_location = location and not (_tells_in_the_group(key) or _is_of_a_front_door(key))
    url = f"{request.base}{_place(key, is_location)}/{name}{_about(key)}"
    header = "Location" if is_location else "Azure-AsyncOperation"
    return {header: f"{url}?api-version={request.query['api-version']}", **_pace(seconds)}


def is_asked(parts: list[str]) -> bool:
    """Whether a path of a subscription is that of an operation."""
    if len(parts) < 6:
        return False
    kind = parts[4].lower()
    if parts[3].lower() == _OF_FRONT_DOORS and kind == "operationresults":
        return True
    if len(parts) > 6:
        return False
    is_providers = parts[0].lower() == "providers" and kind in ("operations", "operationresults")
    return is_providers or kind == _OF_PRIVATE_ZONES.lower()


def _place(key: str, is_location: bool) -> str:
    found, subscription = ResourceId.parse(key), key.split("/")[2]
    if found and _tells_in_the_group(key):
        return f"{found.scope}/providers/{found.namespace}/{_OF_PRIVATE_ZONES}"
    if found and _is_of_a_front_door(key):
        return f"{found.scope}/providers/{found.namespace}/operationresults"
    namespace = found.namespace if found else "Microsoft.Resources"
    where = "operationResults" if is_location else "operations"
    return f"/subscriptions/{subscription}/providers/{namespace}/locations/global/{where}"


def _tells_in_the_group(key: str) -> bool:
    """Private zones and their links: each change is told of in their resource group, with the header that SDKs prefer
    where Azure sends both.
    """
    return type_of(key).startswith("microsoft.network/privatednszones")


def _is_of_a_front_door(key: str) -> bool:
    return type_of(key).startswith(f"{_OF_FRONT_DOORS}/")


def _about(key: str) -> str:
    """What comes after the operation of a Front Door: `/profileresults/NAME/afdendpointresults/NAME`."""
    found = ResourceId.parse(key)
    if found is None or not _is_of_a_front_door(key):
        return ""
    return "".join(f"/{_one_of(kind)}results/{name}" for kind, name in zip(found.types, found.names, strict=True))


def _one_of(kind: str) -> str:
    """`profile` of `profiles`, `securitypolicy` of `securitypolicies`."""
    return f"{kind[:-3]}y" if kind.endswith("ies") else kind[:-1]


def answer(world: World, request: Request, name: str) -> Answer:
    """What a poll is told; ends what is due first, so that nobody waits for a tick."""
    finish_due(world)
    operation = world.state.operations.get(name)
    if operation is None:
        raise ArmError(404, "NotFound", f"The operation '{name}' was not found.")
    pace = {} if operation.is_done else _pace(operation.ready_at - world.now)
    if "/operationresults/" in request.path.lower() and "/profileresults/" not in request.path.lower():
        if operation.is_done:
            return Answer(200)
        return Answer(
            202, None, {"Location": f"{request.base}{request.path}?api-version={request.query['api-version']}", **pace}
        )
    status = ("Failed" if operation.error else "Succeeded") if operation.is_done else "InProgress"
    error = {"error": operation.error} if operation.error else {}
    return Answer(200, {"id": request.path, "name": name, "status": status, **error}, pace)


def finish_due(world: World) -> None:
    """Ends what needs nothing but time; container groups end by what their containers do."""
    for operation in list(world.state.operations.values()):
        if operation.is_done or operation.ready_at > world.now:
            continue
        if operation.kind == "delete":
            _delete(world, operation)
        elif operation.kind == "gone":  # with the request already: another may have its name by now
            operation.is_done = True
        else:
            _settle(world, operation)


def _settle(world: World, operation: Operation) -> None:
    found = world.find(operation.key)
    state = found["properties"].get("provisioningState") if found else "Canceled"
    # How one fares is told by the thing itself, which is asked.
    is_app = type_of(operation.key) in (CONTAINER_APPS, VIRTUAL_MACHINES, EXTENSIONS)
    is_group = f"/{CONTAINER_GROUPS}/" in operation.key
    if is_group and state not in ("Succeeded", "Failed", "Canceled"):
        return
    if found and not is_group and not is_app:
        found["properties"]["provisioningState"] = "Succeeded"
    if state == "Canceled":
        operation.error = {"code": "ResourceNotFound", "message": "The resource was deleted meanwhile."}
    elif is_group and state == "Failed":
        operation.error = {
            "code": "ContainerGroupProvisioningFailed",
            "message": "The group failed to start; see its events.",
        }
    operation.is_done = True
    world.state.changed()


def _delete(world: World, operation: Operation) -> None:
    for key in world.state.under(operation.key):
        del world.state.resources[key]
    operation.is_done = True
    world.state.changed()


def _pace(seconds: float) -> dict[str, str]:
    milliseconds = max(_POLL_MILLISECONDS, min(int(seconds * 20), _SLOWEST_POLL_MILLISECONDS))
    return {"retry-after-ms": str(milliseconds)}


def _forget_old(world: World) -> None:
    done = [name for name, operation in world.state.operations.items() if operation.is_done]
    for name in done[: max(0, len(world.state.operations) - _KEPT)]:
        del world.state.operations[name]
