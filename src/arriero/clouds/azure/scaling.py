"""Container groups more and fewer: copies of one that stands, under the names that a deployment would give, and by name
those that go.

A copy is made from what Azure tells of the group, so it is what was deployed, whatever the spec says by now. Where the
site keeps spares of that release, one of these is asked for instead, under the same name. So that
nothing at all can run and the next one still be made, the last group is stopped instead of deleted, and started again:
`docs/decisions/0020-a-container-group-rests-where-nothing-runs.md`. A site with GPUs has apps or machines,
which go the same way; more of them: `app_scaling.py`, `vm_scaling.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from arriero.clouds.azure import (
    app_scaling,
    apps,
    facts,
    files,
    group_secrets,
    groups,
    identities,
    names,
    spares,
    vm_scaling,
    vms,
    workspaces,
)
from arriero.clouds.azure.asking import ask
from arriero.clouds.azure.connection import Arm, connect
from arriero.clouds.azure.errors import door
from arriero.clouds.scaling import Require, Standing
from arriero.errors import CloudError, Problem
from arriero.plan.model import SiteRef
from arriero.plan.wanted.azure import free_names

Found = Mapping[str, Any]

# What Azure adds to what was asked for.
_TOLD = frozenset(
    (
        "instanceView",
        "provisioningState",
        "isCreatedFromStandbyPool",
        "isCustomProvisioningTimeout",
        "standbyPoolProfile",
        "containerGroupProfile",
    )
)
# What Azure answers to a request for a spare that it can't serve, such as one of a profile that somebody removed.
_NO_SPARE = (400, 404, 409)


def read(ref: SiteRef) -> Standing:
    """The groups of the release that has most of them, as a plan counts them; one at rest counts for none."""
    if ref.machines:
        return vm_scaling.read(ref) if ref.virtual else app_scaling.read(ref)
    with door(ref.site, ref.region):
        items = _items(ref)
        is_misnamed = ref.edges and names.are_wrong(connect(), ref, items)
    alive = [item for item in items if groups.as_target(item, ref).state not in ("stopped", "draining")]
    return Standing(
        ref.site,
        groups.live_count(items),
        tuple(groups.as_target(item, ref) for item in alive),
        obstacle=_obstacle(items),
        creates=True,
        lingers=True,
        is_misnamed=is_misnamed,
    )


def start(ref: SiteRef, standing: Standing, more: int, require: Require) -> Sequence[str]:  # noqa: ARG001 - the contract
    """Groups at rest first, if any are. Each is asked for by itself: what a quota refuses leaves those before it."""
    if ref.machines:
        return vm_scaling.start(ref, more, require) if ref.virtual else app_scaling.start(ref, more, require)
    with door(ref.site, ref.region):
        items, arm = _items(ref), connect()
        patterns = _patterns(items)
        if not patterns:
            raise CloudError(ref.site, Problem("no group stands that another one could be made from", "run arriero up"))
        pattern, resting = patterns[0], [str(item["name"]) for item in patterns if groups.is_at_rest(item)][:more]
        for name in resting:
            require()
            ask(ref, partial(arm.act, f"{_path(ref, name)}/start", groups.VERSION))
        stem = re.sub(r"-\d+$", "", str(pattern["name"]))
        fresh = free_names(stem, {str(item["name"]) for item in items}, more - len(resting))
        spare = spares.claim(arm, ref, pattern) if fresh and ref.spares else None
        copied = group_secrets.filled(_with_keys(arm, ref, _copy(pattern))) if fresh else {}
        for name in fresh:
            require()
            if spare is None or not _take(arm, ref, name, spare):
                ask(ref, partial(arm.put, _path(ref, name), groups.VERSION, copied))
    return [*resting, *fresh]


def stop(ref: SiteRef, standing: Standing, leaving: Sequence[str], require: Require) -> None:
    """Deletes them; the last one of the site is stopped, so that it can be started again, unless another one rests."""
    path, version, rests = _ways(ref)
    with door(ref.site, ref.region):
        arm = connect()
        is_last = all(target.id in leaving for target in standing.targets)
        has_rest = is_last and _has_rest(ref)
        resting = max(leaving, key=lambda name: _release_of(standing, name)) if is_last and not has_rest else ""
        for name in leaving:
            require()
            if name == resting:
                arm.act(f"{path(ref, name)}/{rests}", version)
            else:
                arm.delete(path(ref, name), version)


def _ways(ref: SiteRef) -> tuple[Callable[[SiteRef, str], str], str, str]:
    """Where a target is, in which version of the API, and by which action it rests: a machine that is only stopped is
    paid on.
    """
    if ref.virtual:
        return vms.path, vms.VERSION, "deallocate"
    return (apps.path, apps.VERSION, "stop") if ref.machines else (_path, groups.VERSION, "stop")


def _has_rest(ref: SiteRef) -> bool:
    if ref.machines:
        return vm_scaling.has_rest(ref) if ref.virtual else app_scaling.has_rest(ref)
    return any(map(groups.is_at_rest, _patterns(_items(ref))))


def _items(ref: SiteRef) -> list[Found]:
    return facts.items_of(ref)


def _patterns(items: Sequence[Found]) -> list[Found]:
    """What a group can be made from: those of the newest release that run or rest, by name."""
    right = [item for item in items if not groups.failure(item) or groups.is_at_rest(item)]
    whole = [item for item in right if item["properties"].get("containers")]
    newest = max(map(groups.release_of, whole), default=0)
    return [item for item in whole if groups.release_of(item) == newest]


def _obstacle(items: Sequence[Found]) -> str:
    failed = next((item for item in items if groups.failure(item) and not groups.is_at_rest(item)), None)
    if failed is not None:
        return f"{failed['name']} failed ({groups.failure(failed)}); arriero up clears that"
    return "" if _patterns(items) else "no container group stands to make another one from; run arriero up"


def _release_of(standing: Standing, name: str) -> int:
    return next((target.release or 0 for target in standing.targets if target.id == name), 0)


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
    return {**kept, **identities.copied(pattern), "properties": properties}


def _with_keys(arm: Arm, ref: SiteRef, body: dict[str, Any]) -> dict[str, Any]:
    """Azure never tells the keys that a group was given, of a share or a workspace: they are asked for, and go into the
    request alone.
    """
    return _with_workspace_key(arm, ref, _with_storage_key(arm, ref, body))


def _with_workspace_key(arm: Arm, ref: SiteRef, body: dict[str, Any]) -> dict[str, Any]:
    if not workspaces.id_in(body["properties"]):
        return body
    given = {**body["properties"]["diagnostics"]["logAnalytics"], "workspaceKey": workspaces.key(arm, ref).reveal()}
    return {**body, "properties": {**body["properties"], "diagnostics": {"logAnalytics": given}}}


def _with_storage_key(arm: Arm, ref: SiteRef, body: dict[str, Any]) -> dict[str, Any]:
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


def _take(arm: Arm, ref: SiteRef, name: str, spare: Found) -> bool:
    """Whether Azure takes the request for a spare; it hands one out, or makes the group from the same profile."""
    from azure.core.exceptions import HttpResponseError

    try:
        ask(ref, partial(arm.put, _path(ref, name), groups.VERSION, spare))
    except HttpResponseError as error:
        if error.status_code not in _NO_SPARE:
            raise
        return False
    return True


def _path(ref: SiteRef, name: str) -> str:
    return f"/resourceGroups/{ref.service}-{ref.site}/providers/{groups.TYPE}/{name}"
