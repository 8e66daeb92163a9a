"""The ledger's storage account: what it is like, and the key with which blobs are read and written in it.

A key, because whoever may make the account (Contributor) may list its keys, while reading blobs with a login of Entra
ID takes a role that only an Owner can give. It is asked for when needed, held in memory, and never written anywhere.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from arriero.clouds.azure.connection import connect
from arriero.clouds.azure.errors import door
from arriero.clouds.azure.network import GROUPS_VERSION
from arriero.events import Json
from arriero.plan.model import SERVICE_TAG, Resource, StoreFacts
from arriero.plan.stores import group_name
from arriero.secret import Secret

VERSION = "2023-05-01"
CONTAINER = "ledger"


def read_store(service: str, name: str, region: str) -> StoreFacts:
    """The account with its group and container, by three calls side by side. Raises CloudError."""
    with door("", region), ThreadPoolExecutor(3, thread_name_prefix="account") as pool:
        arm = connect()
        group = pool.submit(arm.get, f"/resourceGroups/{group_name(service)}", GROUPS_VERSION)
        account = pool.submit(arm.get, _path(service, name), VERSION)
        container = pool.submit(arm.get, f"{_path(service, name)}/blobServices/default/containers/{CONTAINER}", VERSION)
        resources: list[Resource] = []
        if found := group.result():
            values = {"location": found["location"].lower(), "tags": _tags(found.get("tags"))}
            resources.append(
                Resource("azure.resource_group", group_name(service), values, tags=found.get("tags") or {})
            )
        if found := account.result():
            properties = found["properties"]
            values = {
                "location": found["location"].lower(),
                "is_private": properties.get("allowBlobPublicAccess") is False,
                "tls": properties.get("minimumTlsVersion"),
                "tags": _tags(found.get("tags")),
            }
            resources.append(Resource("azure.storage_account", name, values, tags=found.get("tags") or {}))
        if container.result():
            resources.append(Resource("azure.blob_container", CONTAINER, {}))
    where = next((str(r.properties["location"]) for r in reversed(resources) if "location" in r.properties), region)
    return StoreFacts("azure", name, where, tuple(resources))


def key(service: str, name: str) -> Secret:
    """One of the account's keys. Raises CloudError."""
    with door(""):
        answer = connect().post(f"{_path(service, name)}/listKeys", VERSION)
        return Secret(str(answer["keys"][0]["value"]))


def store_variables(service: str, found: StoreFacts) -> dict[str, Json]:
    """What the role `azure_ledger` needs."""
    return {
        "azure_ledger_group": group_name(service),
        "azure_ledger_account": found.name,
        "azure_ledger_container": CONTAINER,
        "azure_ledger_location": found.region,
        "azure_ledger_tags": {SERVICE_TAG: service},
    }


def _path(service: str, name: str) -> str:
    return f"/resourceGroups/{group_name(service)}/providers/Microsoft.Storage/storageAccounts/{name}"


def _tags(found: object) -> dict[str, str | None]:
    return {SERVICE_TAG: found.get(SERVICE_TAG) if isinstance(found, dict) else None}
