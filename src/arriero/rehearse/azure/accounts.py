"""What smaller providers add to what was put: storage accounts, workspaces, identities, registries."""

from __future__ import annotations

import base64
import hashlib
import uuid

from arriero.rehearse.azure.answers import Answer, ArmError, Document
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.world import World

_REPLICATIONS = "microsoft.containerregistry/registries/replications"


def prepare(resource: ResourceId, body: Document, moment: str) -> None:
    """Fills in the members that the service makes up; the same resource always gets the same ones."""
    kind, properties = resource.type.lower(), body.setdefault("properties", {})
    if kind == "microsoft.storage/storageaccounts":
        services = ("blob", "file", "queue", "table", "web", "dfs")
        properties["primaryEndpoints"] = {s: f"https://{resource.name}.{s}.core.windows.net/" for s in services}
        properties.update(primaryLocation=body["location"], statusOfPrimary="available")
        properties.setdefault("creationTime", moment)
        body["sku"]["tier"] = body["sku"]["name"].partition("_")[0]
    elif kind == "microsoft.operationalinsights/workspaces":
        properties["customerId"] = _made_up(resource)
        properties.setdefault("retentionInDays", 30)
        properties.setdefault("createdDate", moment)
    elif kind == "microsoft.managedidentity/userassignedidentities":
        properties.update(
            principalId=_made_up(resource), clientId=_made_up(resource, "client"), tenantId=_made_up(resource, "t")
        )
    elif kind == "microsoft.containerregistry/registries":
        properties.setdefault("loginServer", f"{resource.name.lower()}.azurecr.io")
        properties.setdefault("creationDate", moment)
    elif kind == "microsoft.keyvault/vaults":
        properties["vaultUri"] = f"https://{resource.name}.vault.azure.net/"
    elif kind == _REPLICATIONS:
        properties.setdefault("status", {"displayStatus": "Ready", "timestamp": moment})


def check_parent(resource: ResourceId, parent: Document) -> None:
    """Refuses a region of a registry whose tier has none, in the words that Azure PowerShell's own tests expect."""
    if resource.type.lower() == _REPLICATIONS and parent["sku"]["name"] != "Premium":
        message = f"The resource type replications is not supported for the registry {resource.parent.name}"
        raise ArmError(400, "BadRequest", f"{message} of tier {parent['sku']['name']}.")


def add_services(world: World, parent: ResourceId) -> None:
    """A storage account has its services of blobs and files from the start; nobody puts them."""
    services = ("blobservices", "fileservices")
    if parent.type.lower() in [f"microsoft.storage/storageaccounts/{each}" for each in services] and world.find(
        parent.parent.key
    ):
        whole: Document = {"id": parent.path, "name": parent.name, "type": parent.type, "properties": {}}
        world.state.resources.setdefault(parent.key, whole)


def act(resource: ResourceId, action: str) -> Answer | None:
    """The reading actions of these providers; None for one that is not known."""
    name = action.lower()
    if name == "listkeys":
        keys = [{"keyName": f"key{n}", "permissions": "FULL", "value": key(resource, f"key{n}")} for n in (1, 2)]
        return Answer(200, {"keys": keys})
    if name == "sharedkeys":
        primary, secondary = key(resource, "primary"), key(resource, "secondary")
        return Answer(200, {"primarySharedKey": primary, "secondarySharedKey": secondary})
    return None


def _made_up(resource: ResourceId, what: str = "") -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, resource.key + what))


def key(resource: ResourceId, what: str) -> str:
    """One of the resource's keys; the same resource always has the same ones."""
    return base64.b64encode(hashlib.sha512(f"{resource.key} {what}".encode()).digest()).decode()
