"""Virtual machines, as targets of a site with GPUs: from their JSON to the plan's words, what each is (Resource) and
how it is (TargetFacts); and the interfaces and disks that were left of others.

One listing has the machines; what one was told to run and how it fares are two questions more for each, for Azure
answers one of them at a time. Of the containers Azure knows nothing: the extension that the role adds to a machine
tells whether its server has answered once (`vm_bodies.py`), and the gateway finds whether it does now. Words of states:
https://learn.microsoft.com/azure/virtual-machines/states-billing
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from arriero.clouds.azure.connection import Arm
from arriero.clouds.azure.groups import OUR_TAGS, release_of
from arriero.clouds.azure.network import NETWORK_VERSION, last
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, TargetFacts, TargetState, Value
from arriero.plan.wanted import azure_boot
from arriero.plan.wanted.azure import PORT
from arriero.plan.wanted.azure_vms import DISK_KIND, INTERFACE_KIND, VM_KIND, digest

Found = Mapping[str, Any]

VERSION, DISKS_VERSION = "2024-03-01", "2024-03-02"
TYPE, DISKS = "Microsoft.Compute/virtualMachines", "Microsoft.Compute/disks"
INTERFACES = "Microsoft.Network/networkInterfaces"
# The extension that waits until the machine's server answers.
GATE = "answers"
FAILED = ("Failed", "Canceled")


@dataclass(frozen=True, slots=True)
class Machines:
    """The site's machines by name, each with its `view` and its `interface`, and what was `left` of others."""

    items: tuple[Found, ...]
    left: tuple[Resource, ...] = ()

    def resources(self) -> tuple[Resource, ...]:
        return (*map(as_resource, self.items), *self.left)

    def targets(self, ref: SiteRef) -> tuple[TargetFacts, ...]:
        return tuple(as_target(item, ref) for item in self.items)

    @property
    def count(self) -> int:
        return live_count(self.items)


def read(arm: Arm, ref: SiteRef, pool: ThreadPoolExecutor) -> Machines:
    """Three listings side by side, and two requests more for each machine. Raises as azure-core does."""
    disks = pool.submit(arm.list, _path(ref, DISKS), DISKS_VERSION)
    items, interfaces = _items(arm, ref, pool, has_data=True)
    told = [(INTERFACE_KIND, each, "virtualMachine" in each["properties"]) for each in interfaces]
    told += [(DISK_KIND, each, bool(each.get("managedBy"))) for each in disks.result()]
    left = (_left(kind, each) for kind, each, is_in_use in told if not is_in_use and is_ours(each, ref))
    return Machines(items, tuple(left))


def read_targets(arm: Arm, ref: SiteRef, pool: ThreadPoolExecutor) -> tuple[TargetFacts, ...]:
    """The targets only: one request fewer for each."""
    items, _ = _items(arm, ref, pool, has_data=False)
    return Machines(items).targets(ref)


def path(ref: SiteRef, name: str) -> str:
    """Of one machine, or of all without a name."""
    return f"{_path(ref, TYPE)}/{name}" if name else _path(ref, TYPE)


def interface_path(ref: SiteRef, name: str) -> str:
    return f"{_path(ref, INTERFACES)}/{name}"


def is_ours(item: Found, ref: SiteRef) -> bool:
    """By its tags, or by its name where a hand took the tags away: such a machine has drifted, it is no stranger."""
    tags = item.get("tags") or {}
    tagged = tags.get(SERVICE_TAG) == ref.service and tags.get(SITE_TAG) == ref.site
    return tagged or bool(re.fullmatch(rf"{re.escape(f'{ref.service}-{ref.site}')}-r\d+-\d+", item["name"]))


def as_resource(item: Found) -> Resource:
    properties, tags = item["properties"], {key: str(value) for key, value in (item.get("tags") or {}).items()}
    storage, told = properties.get("storageProfile") or {}, user_data(item)
    login = (properties.get("osProfile") or {}).get("linuxConfiguration") or {}
    image = storage.get("imageReference") or {}
    values: Mapping[str, Value] = {
        "location": str(item.get("location", "")).replace(" ", "").lower(),
        "priority": str(properties.get("priority") or "regular").lower(),
        "size": (properties.get("hardwareProfile") or {}).get("vmSize"),
        "image": "/".join(str(image.get(part, "")) for part in ("publisher", "offer", "sku")),
        "disk": _disk(storage.get("osDisk") or {}),
        "containers": azure_boot.containers_of(told),
        "start": digest(told),
        "network": _network(item),
        "password": not login.get("disablePasswordAuthentication", False),
        "tags": {key: tags[key] for key in OUR_TAGS if key in tags},
    }
    details: Mapping[str, Value] = {
        "provisioning": _provisioning(item),
        "failure": failure(item),
        "is_at_rest": is_at_rest(item),
        "has_gate": bool(_gate(item)),
    }
    return Resource(VM_KIND, item["name"], values, item["id"], tags, details)


def as_target(item: Found, ref: SiteRef) -> TargetFacts:
    state, reason = _state(item)
    address = str(_configuration(item).get("privateIPAddress") or "")
    return TargetFacts(
        id=item["name"],
        site=ref.site,
        state=state,
        address=f"{address}:{PORT}" if address else "",
        release=release_of(item) or None,
        resource=item["name"],
        reason=reason,
    )


def live_count(items: Iterable[Found]) -> int:
    """How many machines were asked for: of the release that has most of them, so that a deployment cut off half-way
    does not double the number. Failed, leaving and stopped ones don't count.
    """
    live = (item for item in items if _provisioning(item) != "Deleting" and not failure(item) and not is_at_rest(item))
    return max(Counter(map(release_of, live)).values(), default=0)


def failure(item: Found) -> str:
    """Why the machine serves nobody and will not by itself; empty while it serves or may still come up."""
    if _gate(item) in FAILED:
        return f"its server does not answer: {_said(_extension_statuses(item)) or 'the script that asks it failed'}"
    if _provisioning(item) in FAILED:
        return _said(_statuses(item)) or f"the machine is {_provisioning(item)}"
    return "it is stopped, and paid all the same" if _power(item) == "stopped" else ""


def is_at_rest(item: Found) -> bool:
    """It was deallocated, which takes its price away, but for its disk's, and can be started as it is."""
    return _power(item) in ("deallocated", "deallocating") and _provisioning(item) not in (*FAILED, "Deleting")


def user_data(item: Found) -> str:
    """As it was given; empty where there is none, or where it is no text."""
    try:
        return base64.b64decode(str(item["properties"].get("userData") or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _items(
    arm: Arm, ref: SiteRef, pool: ThreadPoolExecutor, *, has_data: bool
) -> tuple[tuple[Found, ...], Sequence[Found]]:
    listed = pool.submit(arm.list, path(ref, ""), VERSION)
    interfaces = arm.list(_path(ref, INTERFACES), NETWORK_VERSION)
    names = sorted(str(item["name"]) for item in listed.result() if is_ours(item, ref))
    if not names:
        # Resource Manager knows of a missing resource group while the region is down: the region itself is asked.
        arm.get(f"/providers/Microsoft.Compute/locations/{ref.region}/usages", VERSION)
    views = pool.map(lambda name: arm.get(path(ref, name), VERSION, **{"$expand": "instanceView"}), names)
    data: Iterable[Found | None] = [None] * len(names)
    if has_data:
        data = pool.map(lambda name: arm.get(path(ref, name), VERSION, **{"$expand": "userData"}), names)
    known = {str(each["id"]).lower(): each for each in interfaces}
    found = (_whole(view, told, known) for view, told in zip(views, data, strict=True) if view is not None)
    return tuple(found), interfaces


def _whole(view: Found, told: Found | None, interfaces: Mapping[str, Found]) -> Found:
    properties = dict(view["properties"])
    if told is not None:
        properties["userData"] = told["properties"].get("userData")
    used = (properties.get("networkProfile") or {}).get("networkInterfaces") or [{}]
    return {**view, "properties": properties, "interface": interfaces.get(str(used[0].get("id", "")).lower())}


def _path(ref: SiteRef, kind: str) -> str:
    return f"/resourceGroups/{ref.service}-{ref.site}/providers/{kind}"


def _left(kind: str, item: Found) -> Resource:
    return Resource(kind, item["name"], {}, item["id"], {k: str(v) for k, v in (item.get("tags") or {}).items()})


def _state(item: Found) -> tuple[TargetState, str]:
    if _provisioning(item) == "Deleting":
        return "draining", "it is being deleted"
    if is_at_rest(item):
        return "stopped", "it was stopped"
    if reason := failure(item):
        return "stopped", reason
    has_answered = _gate(item) in ("", "Succeeded")
    is_up = _provisioning(item) in ("Succeeded", "Updating") and _power(item) == "running"
    return ("ready", "") if is_up and has_answered else ("starting", "")


def _provisioning(item: Found) -> str:
    return str(item["properties"].get("provisioningState", ""))


def _view(item: Found) -> Found:
    found: Found = item["properties"].get("instanceView") or {}
    return found


def _statuses(item: Found) -> Sequence[Found]:
    return _view(item).get("statuses") or ()


def _power(item: Found) -> str:
    """running, starting, stopping, stopped, deallocating, deallocated; empty where it is not known yet."""
    told = (str(each.get("code", "")) for each in _statuses(item))
    return next((code.partition("/")[2].lower() for code in told if code.startswith("PowerState/")), "")


def _said(statuses: Sequence[Found]) -> str:
    """What the first one that failed says, its last line: a script's own words come last."""
    failed = (str(each.get("message") or "") for each in statuses if "/failed" in str(each.get("code", "")).lower())
    lines = next(filter(None, failed), "").strip().splitlines()
    return lines[-1].strip() if lines else ""


def _gate(item: Found) -> str:
    """How the extension fares that waits for the server; empty where the machine has none."""
    extensions = [each for each in item.get("resources") or () if last(str(each.get("name", ""))) == GATE]
    return str((extensions[0].get("properties") or {}).get("provisioningState", "")) if extensions else ""


def _extension_statuses(item: Found) -> Sequence[Found]:
    """What the one is told of that waits for the server."""
    told: list[Found] = [each for each in _view(item).get("extensions") or () if each.get("name") == GATE]
    return [status for each in told for status in each.get("statuses") or ()]


def _disk(disk: Found) -> Mapping[str, Value]:
    return {
        "gib": disk.get("diskSizeGB"),
        "type": (disk.get("managedDisk") or {}).get("storageAccountType"),
        "goes_with_it": disk.get("deleteOption") == "Delete",
    }


def _configuration(item: Found) -> Found:
    """Of its interface, which has one."""
    interface = item.get("interface") or {"properties": {}}
    first: Found = next(iter(interface["properties"].get("ipConfigurations") or ()), {})
    return first.get("properties") or {}


def _network(item: Found) -> Mapping[str, Value]:
    profile = item["properties"].get("networkProfile") or {}
    used: Found = next(iter(profile.get("networkInterfaces") or ()), {})
    interface, configuration = item.get("interface") or {"properties": {}}, _configuration(item)
    parts = str((configuration.get("subnet") or {}).get("id") or "").split("/")
    guard = interface["properties"].get("networkSecurityGroup")
    return {
        "subnet": f"{parts[-3]}/{parts[-1]}" if len(parts) > 3 else None,
        "is_public": bool(configuration.get("publicIPAddress")),
        "security_group": last(guard["id"]) if guard else None,
        "goes_with_it": (used.get("properties") or {}).get("deleteOption") == "Delete",
    }
