"""More virtual machines, as `scaling.py` has it of container groups: copies of one that stands, under the names that a
deployment would give, each with an interface of its own. How they go is one thing for all, and stands there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from arriero.clouds.azure import groups, vm_bodies, vms
from arriero.clouds.azure.asking import ask
from arriero.clouds.azure.connection import connect
from arriero.clouds.azure.errors import door
from arriero.clouds.azure.network import NETWORK_VERSION
from arriero.clouds.scaling import Require, Standing
from arriero.errors import CloudError, Problem
from arriero.plan.model import SiteRef
from arriero.plan.wanted.azure import free_names

Found = Mapping[str, Any]


def read(ref: SiteRef) -> Standing:
    """The machines of the release that has most of them, as a plan counts them; one at rest counts for none."""
    with door(ref.site, ref.region):
        found = _read(ref)
    alive = tuple(each for each in found.targets(ref) if each.state not in ("stopped", "draining"))
    obstacle = _obstacle(found.items)
    return Standing(ref.site, found.count, alive, obstacle=obstacle, creates=True, lingers=True)


def start(ref: SiteRef, more: int, require: Require) -> Sequence[str]:
    """Machines at rest first, if any are. Each is asked for by itself: what a quota refuses leaves those before it."""
    with door(ref.site, ref.region):
        found, arm = _read(ref), connect()
        patterns = _patterns(found.items)
        if not patterns:
            what = "no virtual machine stands that another one could be made from"
            raise CloudError(ref.site, Problem(what, "run arriero up"))
        resting = [str(item["name"]) for item in patterns if vms.is_at_rest(item)][:more]
        for name in resting:
            require()
            ask(ref, partial(arm.act, f"{vms.path(ref, name)}/start", vms.VERSION))
        stem = re.sub(r"-\d+$", "", str(patterns[0]["name"]))
        taken = {str(item["name"]) for item in found.items} | {each.name for each in found.left}
        names = free_names(stem, taken, more - len(resting))
        for name in names:
            require()
            ask(ref, partial(arm.put, vms.interface_path(ref, name), NETWORK_VERSION, interface(patterns[0])))
            ask(ref, partial(arm.put, vms.path(ref, name), vms.VERSION, copy(patterns[0], name)))
    return [*resting, *names]


def has_rest(ref: SiteRef) -> bool:
    """Whether a machine stands that was deallocated, and can be started again."""
    return any(map(vms.is_at_rest, _patterns(_read(ref).items)))


def interface(pattern: Found) -> dict[str, Any]:
    """What is asked for so that another interface is as this machine's, but for its address."""
    found = pattern["interface"]
    first = found["properties"]["ipConfigurations"][0]
    configuration = {**_only(first["properties"], ("subnet", "primary")), "privateIPAllocationMethod": "Dynamic"}
    configuration["subnet"] = _only(configuration["subnet"], ("id",))
    return {
        **_only(found, ("location", "tags")),
        "properties": {"ipConfigurations": [{"name": first["name"], "properties": configuration}]},
    }


def copy(pattern: Found, name: str) -> dict[str, Any]:
    """What is asked for so that another machine is as this one, but for its name, its interface and its disk: what
    Azure adds is left out. Its key is the same one, of which nobody has the private half.
    """
    properties = pattern["properties"]
    storage, disk = properties["storageProfile"], properties["storageProfile"]["osDisk"]
    used = properties["networkProfile"]["networkInterfaces"][0]
    login = _only(properties["osProfile"]["linuxConfiguration"], ("disablePasswordAuthentication", "ssh"))
    return {
        **_only(pattern, ("location", "tags")),
        "properties": {
            **_only(properties, ("priority", "userData")),
            "hardwareProfile": _only(properties["hardwareProfile"], ("vmSize",)),
            "storageProfile": {
                "imageReference": _only(storage["imageReference"], ("publisher", "offer", "sku", "version")),
                "osDisk": {
                    **_only(disk, ("createOption", "diskSizeGB", "deleteOption")),
                    "name": name,
                    "managedDisk": _only(disk["managedDisk"], ("storageAccountType",)),
                },
            },
            "osProfile": {
                **_only(properties["osProfile"], ("adminUsername",)),
                "computerName": name,
                "linuxConfiguration": login,
            },
            "networkProfile": {
                "networkInterfaces": [vm_bodies.attached(re.sub(r"[^/]+$", name, str(used["id"])))],
            },
        },
    }


def _read(ref: SiteRef) -> vms.Machines:
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="scaling") as pool:
        return vms.read(connect(), ref, pool)


def _patterns(items: Sequence[Found]) -> list[Found]:
    """What a machine can be made from: those of the newest release that run or rest, by name."""
    right = [item for item in items if not vms.failure(item) and item.get("interface")]
    newest = max(map(groups.release_of, right), default=0)
    return [item for item in right if groups.release_of(item) == newest]


def _obstacle(items: Sequence[Found]) -> str:
    failed = next((item for item in items if vms.failure(item)), None)
    if failed is not None:
        return f"{failed['name']} failed ({vms.failure(failed)}); arriero up clears that"
    return "" if _patterns(items) else "no virtual machine stands to make another one from; run arriero up"


def _only(found: Found, members: Sequence[str]) -> dict[str, Any]:
    return {name: found[name] for name in members if found.get(name) is not None}
