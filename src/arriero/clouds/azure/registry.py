"""A registry of ACR: in which regions it stands, and the service's task there that lets images go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from arriero.clouds.azure.connection import connect
from arriero.clouds.azure.errors import door
from arriero.errors import CloudError
from arriero.events import Json
from arriero.plan import purging, registries
from arriero.plan.model import SERVICE_TAG, Resource, StoreFacts, Value
from arriero.plan.purging import Place
from arriero.spec.model import Spec

KIND = "azure.registry"
VERSION = "2023-07-01"
TASKS_VERSION = "2019-06-01-preview"  # the only one that has tasks, as the Azure CLI uses it
_MADE, _READY = "Succeeded", "Ready"
LIST = "/providers/Microsoft.ContainerRegistry/registries"


def read(place: Place, regions: Collection[str] = ()) -> StoreFacts:
    """Two calls; with a problem, in place of raising, where Azure does not tell: no deployment depends on it. One that
    is in no resource group of this subscription is not there.

    One more where it is to stand in other `regions`, too, and is of the tier that can.
    """
    try:
        with door(""):
            arm = connect()
            all_of_them = arm.list(LIST, VERSION)
            about = next((each for each in all_of_them if is_at(each, place.host)), None)
            if about is None:
                return StoreFacts("azure", place.host, "")
            path = str(about["id"]).partition(f"/subscriptions/{arm.subscription}")[2]
            task = arm.get(f"{path}/tasks/{place.task}", TASKS_VERSION)
            sku, location = str((about.get("sku") or {}).get("name", "")), _plain(about["location"])
            is_asked = sku == registries.PREMIUM and bool({*regions} - {location})
            copies = arm.list(f"{path}/replications", VERSION) if is_asked else []
    except CloudError as error:
        return StoreFacts("azure", place.host, "", problem=error.problems[0])
    details: dict[str, Value] = {"group": path.split("/")[2], "name": str(about["name"]), "sku": sku}
    resources = [Resource(KIND, place.host, {}, details={**details, "location": str(about["location"])})]
    if is_asked:
        there = {_plain(each["location"]): _state(each) for each in copies}
        resources.append(Resource(registries.STANDING, place.host, dict(sorted(there.items()))))
    if task:
        resources.append(purging.found(place.task, task.get("properties") or {}))
    return StoreFacts("azure", place.host, location, tuple(resources))


def variables(spec: Spec, found: StoreFacts) -> dict[str, Json]:
    """What the role `azure_registry` needs."""
    where = purging.place(spec)
    if where is None:
        raise ValueError(f"{spec.image.name} is in no registry of ACR")
    details = found.resources[0].details
    return {
        "azure_registry_group": str(details["group"]),
        "azure_registry_name": str(details["name"]),
        "azure_registry_location": str(details["location"]),
        "azure_registry_task": where.task,
        "azure_registry_properties": dict(purging.body(where.path, spec.image.keep)),
        "azure_registry_tags": {SERVICE_TAG: spec.name},
        "azure_registry_copies": list(registries.missing_regions(spec, found)),
    }


def _state(replica: Mapping[str, Any]) -> str:
    """A region that was added is being made first, and says Ready once all that was pushed before is there."""
    about = replica.get("properties") or {}
    made, said = about.get("provisioningState"), (about.get("status") or {}).get("displayStatus")
    return str(made if made != _MADE else registries.COPIED if said == _READY else said)


def _plain(location: object) -> str:
    return str(location).replace(" ", "").lower()


def is_at(about: object, host: str) -> bool:
    """Whether a registry as Azure tells it has that login server."""
    properties = about.get("properties") if isinstance(about, dict) else None
    return isinstance(properties, dict) and str(properties.get("loginServer", "")).lower() == host
