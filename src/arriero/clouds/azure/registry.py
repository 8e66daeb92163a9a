"""A registry of ACR: where it stands, and the service's task there that lets images go."""

from __future__ import annotations

from arriero.clouds.azure.connection import connect
from arriero.clouds.azure.errors import door
from arriero.errors import CloudError
from arriero.events import Json
from arriero.plan import purging
from arriero.plan.model import SERVICE_TAG, Resource, StoreFacts
from arriero.plan.purging import Place
from arriero.spec.model import Spec

KIND = "azure.registry"
VERSION = "2023-07-01"
TASKS_VERSION = "2019-06-01-preview"  # the only one that has tasks, as the Azure CLI uses it
_LIST = "/providers/Microsoft.ContainerRegistry/registries"


def read(place: Place) -> StoreFacts:
    """Two calls; with a problem, in place of raising, where Azure does not tell: no deployment depends on it. One that
    is in no resource group of this subscription is not there.
    """
    try:
        with door(""):
            arm = connect()
            all_of_them = arm.list(_LIST, VERSION)
            about = next((each for each in all_of_them if _is_at(each, place.host)), None)
            if about is None:
                return StoreFacts("azure", place.host, "")
            path = str(about["id"]).partition(f"/subscriptions/{arm.subscription}")[2]
            task = arm.get(f"{path}/tasks/{place.task}", TASKS_VERSION)
    except CloudError as error:
        return StoreFacts("azure", place.host, "", problem=error.problems[0])
    details = {"group": path.split("/")[2], "name": str(about["name"]), "location": str(about["location"])}
    resources = [Resource(KIND, place.host, {}, details=details)]
    if task:
        resources.append(purging.found(place.task, task.get("properties") or {}))
    return StoreFacts("azure", place.host, str(about["location"]).replace(" ", "").lower(), tuple(resources))


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
    }


def _is_at(about: object, host: str) -> bool:
    properties = about.get("properties") if isinstance(about, dict) else None
    return isinstance(properties, dict) and str(properties.get("loginServer", "")).lower() == host
