"""Container groups more and fewer: copies of one that stands, under the names that a deployment would give, and by name
those that go.

A copy is made from what Azure tells of the group, so it is what was deployed, whatever the spec says by now.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from arriero.clouds.azure import facts, files, groups
from arriero.clouds.azure.connection import Arm, connect
from arriero.clouds.azure.errors import door
from arriero.clouds.scaling import Require, Standing, Throttled
from arriero.errors import CloudError, Problem
from arriero.plan.model import RELEASE_TAG, SiteRef
from arriero.plan.wanted.azure import free_names

Found = Mapping[str, Any]

# What Azure adds to what was asked for.
_TOLD = frozenset(("instanceView", "provisioningState", "isCreatedFromStandbyPool", "isCustomProvisioningTimeout"))
_WAIT_SECONDS = 60.0


def read(ref: SiteRef) -> Standing:
    """The groups of the release that has most of them, as a plan counts them."""
    with door(ref.site, ref.region):
        items = _items(ref)
    alive = [item for item in items if groups.as_target(item, ref).state not in ("stopped", "draining")]
    return Standing(
        ref.site,
        groups.live_count(items),
        tuple(groups.as_target(item, ref) for item in alive),
        obstacle=_obstacle(items),
        creates=True,
    )


def start(ref: SiteRef, standing: Standing, more: int, require: Require) -> Sequence[str]:  # noqa: ARG001 - the contract
    """Each group is asked for by itself: what a quota refuses leaves those before it."""
    with door(ref.site, ref.region):
        items, arm = _items(ref), connect()
        pattern = max(_patterns(items), key=_release, default=None)
        if pattern is None:
            raise CloudError(ref.site, Problem("no group stands that another one could be made from", "run arriero up"))
        stem = re.sub(r"-\d+$", "", str(pattern["name"]))
        names = free_names(stem, {str(item["name"]) for item in items}, more)
        for name in names:
            require()
            _put(arm, ref, name, _with_keys(arm, ref, _copy(pattern)))
    return names


def stop(ref: SiteRef, standing: Standing, leaving: Sequence[str], require: Require) -> None:  # noqa: ARG001
    with door(ref.site, ref.region):
        arm = connect()
        for name in leaving:
            require()
            arm.delete(_path(ref, name), groups.VERSION)


def _items(ref: SiteRef) -> list[Found]:
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="scaling") as pool:
        return facts.group_items(connect(), ref, pool)


def _patterns(items: Sequence[Found]) -> list[Found]:
    return [item for item in items if not groups.failure(item) and item["properties"].get("containers")]


def _obstacle(items: Sequence[Found]) -> str:
    failed = next((item for item in items if groups.failure(item)), None)
    if failed is not None:
        return f"{failed['name']} failed ({groups.failure(failed)}); arriero up clears that"
    return "" if _patterns(items) else "no container group stands to make another one from; run arriero up"


def _release(item: Found) -> int:
    text = str((item.get("tags") or {}).get(RELEASE_TAG, ""))
    return int(text) if text.isdecimal() else 0


def _copy(pattern: Found) -> dict[str, Any]:
    properties = {key: value for key, value in pattern["properties"].items() if key not in _TOLD}
    address = {key: value for key, value in (properties.get("ipAddress") or {}).items() if key != "ip"}
    properties["ipAddress"] = address
    for member in ("containers", "initContainers"):
        if member in properties:
            properties[member] = [
                {"name": each["name"], "properties": {k: v for k, v in each["properties"].items() if k not in _TOLD}}
                for each in properties[member] or ()
            ]
    kept = {key: pattern[key] for key in ("location", "tags", "zones") if pattern.get(key)}
    return {**kept, "properties": properties}


def _with_keys(arm: Arm, ref: SiteRef, body: dict[str, Any]) -> dict[str, Any]:
    """Azure never tells the key of a share that a group mounts: it is asked for, and goes into the request alone."""
    volumes = body["properties"].get("volumes") or []
    if not any("azureFile" in volume for volume in volumes):
        return body
    key = files.key(arm, ref).reveal()
    return {
        **body,
        "properties": {
            **body["properties"],
            "volumes": [
                {**volume, "azureFile": {**volume["azureFile"], "storageAccountKey": key}}
                if "azureFile" in volume
                else volume
                for volume in volumes
            ],
        },
    }


def _put(arm: Arm, ref: SiteRef, name: str, body: Found) -> None:
    from azure.core.exceptions import HttpResponseError

    try:
        arm.put(_path(ref, name), groups.VERSION, body)
    except HttpResponseError as error:
        if error.status_code != 429:
            raise
        told = str(getattr(error.response, "headers", {}).get("Retry-After", ""))
        wait = float(told) if told.isdecimal() else _WAIT_SECONDS
        what = f"Azure takes no more creations in {ref.region} for {wait:.0f} s (429)"
        raise Throttled(ref.site, Problem(what), wait) from error


def _path(ref: SiteRef, name: str) -> str:
    return f"/resourceGroups/{ref.service}-{ref.site}/providers/{groups.TYPE}/{name}"
