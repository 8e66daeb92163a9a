"""The storage of a site's models, read into Resources: its account, its share, and which models that holds by its own
metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from arriero.clouds.azure.connection import Arm, Found
from arriero.clouds.azure.ledger import VERSION
from arriero.clouds.azure.network import GROUPS_VERSION
from arriero.events import Json
from arriero.plan.model import Resource, SiteRef, Value
from arriero.plan.wanted import azure_files as wish
from arriero.secret import Secret


@dataclass(frozen=True, slots=True)
class Reading:
    """Answers that are on their way."""

    group: Future[Found | None]
    account: Future[Found | None]
    share: Future[Found | None]

    def resources(self, ref: SiteRef) -> tuple[Resource, ...]:
        """What of the storage is there; none where it has no resource group."""
        base, found = f"{ref.service}-{ref.site}", list[Resource]()
        group, account, share = self.group.result(), self.account.result(), self.share.result()
        if group:
            values: Mapping[str, Value] = {"location": group["location"].lower()}
            found.append(Resource(wish.GROUP_KIND, group["name"], values, group["id"], group.get("tags") or {}))
        if account:
            properties = account["properties"]
            values = {
                "location": account["location"].lower(),
                "is_private": properties.get("allowBlobPublicAccess") is False,
                "tls": properties.get("minimumTlsVersion"),
                "public_access": properties.get("publicNetworkAccess") != "Disabled",
            }
            found.append(Resource(wish.ACCOUNT_KIND, account["name"], values, account["id"], account.get("tags") or {}))
        if share:
            properties = share["properties"]
            values = {"quota_gib": properties.get("shareQuota")}
            found.append(Resource(wish.SHARE_KIND, share["name"], values, share["id"]))
            if mark := (properties.get("metadata") or {}).get(wish.MARK):
                found.append(Resource(wish.MODELS_KIND, base, {"models": mark}))
        return tuple(found)


def read(arm: Arm, ref: SiteRef, pool: Executor) -> Reading:
    account = _account(arm, ref)
    return Reading(
        pool.submit(arm.get, account.partition("/providers/")[0], GROUPS_VERSION),
        pool.submit(arm.get, account, VERSION),
        pool.submit(arm.get, f"{account}/fileServices/default/shares/{wish.SHARE}", VERSION),
    )


def key(arm: Arm, ref: SiteRef) -> Secret:
    """One of the account's keys."""
    return Secret(str(arm.post(f"{_account(arm, ref)}/listKeys", VERSION)["keys"][0]["value"]))


def _account(arm: Arm, ref: SiteRef) -> str:
    base = f"{ref.service}-{ref.site}"
    name = wish.account_name(arm.subscription, base)
    return f"/resourceGroups/{wish.group_name(base)}/providers/Microsoft.Storage/storageAccounts/{name}"


def volumes(account: str, *, is_read_only: bool) -> list[Json]:
    """A group's volumes in Resource Manager's words; where the key goes stands `wish.KEY`."""
    share: dict[str, Json] = {
        "shareName": wish.SHARE,
        "storageAccountName": account,
        "storageAccountKey": wish.KEY,
        "readOnly": is_read_only,
    }
    return [
        {"name": wish.SHELF_VOLUME, "emptyDir": {}},
        {"name": wish.STORAGE_VOLUME, "azureFile": share},
    ]


def volume_of(item: Mapping[str, Any]) -> str:
    """In the words of `plan/wanted/azure_files.py`; one of another kind is shown as it is, and differs."""
    if "emptyDir" in item:
        return "empty"
    share = item.get("azureFile") or {}
    if not share:
        return str(dict(item))
    return f"share {share.get('shareName')}{', read only' if share.get('readOnly') else ''}"
