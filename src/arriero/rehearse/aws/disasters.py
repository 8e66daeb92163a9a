"""Disasters of the emulated AWS: who of a region's tasks is struck; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from arriero.rehearse.aws.runtime import RunningTask
from arriero.rehearse.emulator import Fault

DISASTERS = frozenset(("lose", "zone", "storm", "slow-storage", "no-images", "no-objects", "skew"))
WORDS = {
    "lose": "the region is gone: no call is answered, and nothing starts",
    "zone": "one zone is gone, and nothing starts there",
    "slow-storage": "whoever mounts a file system gets a fifth of its time",
    "no-images": "no image can be pulled",
    "no-objects": "its object store answers no call",
    "skew": "this machine's clock is found to be twenty minutes off",
}


def struck(fault: Fault, tasks: Sequence[RunningTask]) -> tuple[list[RunningTask], Fault]:
    """Whose containers end at once; and the fault, that of a zone with the subnet in it."""
    if fault.kind == "lose":
        return list(tasks), fault
    if fault.kind == "storm":
        return list(tasks[: (len(tasks) + 1) // 2]), fault
    if fault.kind == "zone":
        counted = Counter(subnet_of(run.task) for run in tasks)
        subnet = fault.target or max(sorted(counted), key=lambda name: counted[name], default="")
        return [run for run in tasks if subnet_of(run.task) == subnet], replace(fault, target=subnet)
    return [], fault


def subnet_of(task: Any) -> str:
    """Where a task's network interface is."""
    details = [each for attachment in task.attachments for each in attachment["details"]]
    return next((str(each["value"]) for each in details if each["name"] == "subnetId"), "")
