"""Machines with GPUs that a cloud sells, by what they hold. Their prices are under `ec2.<name>`.

A container gets less than a machine of EC2 has: Linux and the container agent keep some of its memory. How much differs
by type, and AWS gives no figure (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/memory-management.html); a
sixteenth is left free here. What counts for a machine at Azure is a workload profile of Container Apps: an app has all
that it holds. Azure's virtual machines (`how` is `virtual`) are told apart from those; their prices are under
`vm.<name>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from arriero.catalog.catalog import Source, table

_KEPT = {("aws", ""): 1 / 16, ("azure", "virtual"): 1 / 16}


@dataclass(frozen=True, slots=True)
class Machine:
    """`gpu_mib` is the memory of each of its `gpus`, in MiB; `regions` are those that have it, none where that is not
    known. `how` says by which way a cloud sells it, where that is not the one it has by itself. One that is `retired`
    is had by its own name only.
    """

    name: str
    cloud: str
    cpu: int
    memory_gib: float
    gpu: str
    gpus: int
    gpu_mib: int
    regions: tuple[str, ...] = ()
    retired: bool = False
    how: str = ""

    @property
    def usable_gib(self) -> float:
        """The memory that its containers can have together."""
        return self.memory_gib * (1 - _KEPT.get((self.cloud, self.how), 0))

    def holds(self, gpus: int, cpu: float, memory_gib: float) -> int:
        """How many targets that ask for so much have room on it at once."""
        return int(min(self.gpus // gpus, self.cpu // cpu, self.usable_gib // memory_gib))

    def __str__(self) -> str:
        return f"{self.name} ({self.gpus} x {self.gpu}, {self.cpu} vCPU, {self.usable_gib:g}GiB for containers)"


@cache
def machines(cloud: str, how: str = "") -> tuple[Machine, ...]:
    """All that are known, by GPU; the smaller first."""
    rows = (row for row in table("gpu_machines")["machines"] if (row["cloud"], row.get("how", "")) == (cloud, how))
    return tuple(Machine(**{**row, "regions": tuple(row.get("regions", ()))}) for row in rows)


def regions_known() -> Source:
    """Where the regions of Container Apps with GPUs were read."""
    return Source(**table("gpu_machines")["container_apps"])


def types(cloud: str, how: str = "") -> tuple[str, ...]:
    """The GPUs that can be had on machines, the smallest first."""
    return tuple(dict.fromkeys(machine.gpu for machine in machines(cloud, how) if not machine.retired))


def with_gpu(cloud: str, gpu: str, gpus: int = 1, how: str = "") -> tuple[Machine, ...]:
    """Those that have at least so many of that GPU, or the one of that name; case doesn't matter."""
    return tuple(each for each in machines(cloud, how) if _is(each, gpu.lower()) and each.gpus >= gpus)


def _is(machine: Machine, asked: str) -> bool:
    return machine.name == asked if machine.retired else machine.gpu.lower() == asked


def fitting(cloud: str, gpu: str, gpus: int, cpu: float, memory_gib: float, how: str = "") -> tuple[Machine, ...]:
    """Those on which at least one target has room that asks for so much."""
    return tuple(each for each in with_gpu(cloud, gpu, gpus, how) if each.holds(gpus, cpu, memory_gib))
