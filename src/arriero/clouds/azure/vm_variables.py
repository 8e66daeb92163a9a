"""What of the role's variables is of virtual machines: those to make, and those that go with what belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from arriero.clouds.azure import vm_bodies
from arriero.events import Json
from arriero.plan.model import SiteFacts, SitePlan
from arriero.plan.wanted.azure_vms import DISK_KIND, INTERFACE_KIND, VM_KIND


def variables(plan: SitePlan, found: SiteFacts, base: str, ready_seconds: int) -> dict[str, Json]:
    """Machines that are there already are not handed over."""
    new = [each for each in plan.wanted if each.kind == VM_KIND and not found.find(VM_KIND, each.name)]
    gone = {
        kind: [change.name for change in plan.changes if change.action == "remove" and change.kind == kind]
        for kind in (VM_KIND, INTERFACE_KIND, DISK_KIND)
    }
    machines: list[Json] = []
    for each in new:
        names = sorted(cast("Mapping[str, object]", each.properties["containers"]))
        gate = vm_bodies.gate(str(each.properties["location"]), names, ready_seconds)
        body = vm_bodies.machine(each, base, found.account)
        machines.append({"name": each.name, "tags": dict(each.tags), "body": body, "gate": gate})
    return {
        "azure_site_machines": machines,
        "azure_site_retired_machines": cast(Json, gone[VM_KIND]),
        # What goes with a machine by itself is seen to have gone, too.
        "azure_site_retired_interfaces": cast(Json, [*gone[VM_KIND], *gone[INTERFACE_KIND]]),
        "azure_site_retired_disks": cast(Json, [*gone[VM_KIND], *gone[DISK_KIND]]),
    }
