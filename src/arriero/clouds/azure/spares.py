"""A site's spares: its standby pool and the profile that the pool makes container groups from, read into Resources; and
the request by which Azure hands one of them out.

What such a request may say: https://github.com/Azure/azure-cli/issues/30898, and Microsoft's page "Request a container
from a standby pool". Nothing of a container but its name; where no spare is ready Azure makes one from the profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from arriero.clouds.azure import groups
from arriero.clouds.azure.connection import Arm, Found
from arriero.clouds.azure.network import last
from arriero.events import Json
from arriero.plan.model import RELEASE_TAG, SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted import azure_spares as wish

VERSION = "2025-03-01"
TYPE, PROFILE_TYPE = (
    "Microsoft.StandbyPool/standbyContainerGroupPools",
    "Microsoft.ContainerInstance/containerGroupProfiles",
)
_TAGS = (SERVICE_TAG, SITE_TAG, RELEASE_TAG)


def read(arm: Arm, ref: SiteRef, parent: Future[Found | None]) -> tuple[Resource, ...]:
    """Nothing is asked where the spec wants no spares and the resource group remembers none."""
    group = parent.result()
    if group is None or not (ref.spares or (group.get("tags") or {}).get(wish.KEPT_TAG) == wish.KEPT):
        return ()
    profile = arm.get(_path(ref, PROFILE_TYPE, f"{ref.service}-{ref.site}"), groups.VERSION)
    pool = arm.get(_path(ref, TYPE, wish.POOL), VERSION)
    view = arm.get(f"{_path(ref, TYPE, wish.POOL)}/runtimeViews/latest", VERSION) if pool else None
    newest = (profile or {"properties": {}})["properties"].get("revision")
    return (
        *([_profile(profile)] if profile else []),
        *([_pool(pool, newest, view or {})] if pool else []),
    )


def claim(arm: Arm, ref: SiteRef, pattern: Found) -> dict[str, Any] | None:
    """The body of a request for a group like `pattern`; None where no pool has spares of its release."""
    pool = arm.get(_path(ref, TYPE, wish.POOL), VERSION)
    release = (pattern.get("tags") or {}).get(RELEASE_TAG)
    if pool is None or (pool.get("tags") or {}).get(RELEASE_TAG) != release:
        return None
    properties = {
        "containerGroupProfile": dict(pool["properties"]["containerGroupProperties"]["containerGroupProfile"]),
        "standbyPoolProfile": {"id": pool["id"], "failContainerGroupCreateOnReuseFailure": False},
        "subnetIds": pattern["properties"].get("subnetIds") or [],
        "containers": [{"name": each["name"], "properties": {}} for each in pattern["properties"]["containers"]],
    }
    return {"location": pattern["location"], "tags": pattern["tags"], "properties": properties}


def pool_body(pool: Resource, subnet_id: str, profile_id: str) -> dict[str, Json]:
    """In Resource Manager's words, but for the profile's revision, which the role puts in."""
    return {
        "location": str(pool.properties["location"]),
        "tags": dict(pool.tags),
        "properties": {
            "elasticityProfile": {
                "maxReadyCapacity": int(str(pool.properties["ready"])),
                "refillPolicy": str(pool.properties["refill"]),
            },
            "containerGroupProperties": {
                "containerGroupProfile": {"id": profile_id},
                "subnetIds": [{"id": subnet_id}],
            },
        },
    }


def _profile(item: Found) -> Resource:
    found = groups.as_resource(item)
    properties = {key: value for key, value in found.properties.items() if key not in ("subnet", "tags")}
    tags = _tags(item)
    return replace(found, kind=wish.PROFILE_KIND, properties={**properties, "tags": tags}, tags=tags, details={})


def _pool(item: Found, newest: object, view: Found) -> Resource:
    """`details` say how many are ready, and what Azure says of the pool's health where it is not well."""
    made_of = item["properties"]["containerGroupProperties"]
    profile, elastic = made_of["containerGroupProfile"], item["properties"].get("elasticityProfile") or {}
    revision, tags = profile.get("revision"), _tags(item)
    properties: Mapping[str, Value] = {
        "location": str(item.get("location", "")).replace(" ", "").lower(),
        "ready": elastic.get("maxReadyCapacity"),
        "refill": str(elastic.get("refillPolicy") or "always").lower(),
        "profile": last(profile["id"]),
        "revision": wish.NEWEST if revision is not None and revision == newest else f"{revision} of {newest}",
        "subnet": groups.subnet(made_of.get("subnetIds")),
        "tags": tags,
    }
    return Resource(wish.POOL_KIND, item["name"], properties, item["id"], tags, _health(view))


def _health(view: Found) -> Mapping[str, Value]:
    told = view.get("properties") or {}
    rows = [row for each in told.get("instanceCountSummary") or () for row in each.get("instanceCountsByState") or ()]
    status = told.get("status") or view.get("status") or {}
    is_well = str(status.get("code") or "healthy").rpartition("/")[2].lower() == "healthy"
    return {
        "running": sum(int(row.get("count") or 0) for row in rows if str(row.get("state")).lower() == "running"),
        "health": "" if is_well else str(status.get("message") or status.get("code")),
    }


def _tags(item: Found) -> dict[str, str]:
    return {key: str(value) for key, value in (item.get("tags") or {}).items() if key in _TAGS}


def _path(ref: SiteRef, kind: str, name: str) -> str:
    return f"/resourceGroups/{ref.service}-{ref.site}/providers/{kind}/{name}"
