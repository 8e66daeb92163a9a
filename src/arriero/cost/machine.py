"""The machine that a site's targets with GPUs run on: the cheapest that has room for one, by the hour.

The catalog's prices decide, never those of a user's file: everybody who deploys the spec gets the same machine.
"""

from __future__ import annotations

from decimal import Decimal

from arriero.catalog import catalog
from arriero.catalog.gpu_machines import Machine
from arriero.spec.check_gpu import machines
from arriero.spec.gpu import is_virtual
from arriero.spec.model import ResolvedSite

# The snapshot of Amazon's image for ECS; what the spec asks for as storage comes on top.
IMAGE_GIB = 30
# Standard SSDs are paid by their tier, whole: https://learn.microsoft.com/azure/virtual-machines/disks-types#standard-ssds
DISKS = {"E10": 128, "E15": 256, "E20": 512, "E30": 1024, "E40": 2048, "E50": 4095}
# Room on a virtual machine's disk for its system, with drivers and Docker.
SYSTEM_GIB = 100
_UNKNOWN = Decimal("Infinity")


def chosen(site: ResolvedSite) -> Machine:
    """Where no price is known, the smallest. The checked spec of a site with GPUs always has one."""
    of = "vm" if is_virtual(site.gpu) else "ec2"

    def rank(machine: Machine) -> tuple[Decimal, int, float]:
        price = catalog.price(site.cloud, site.region, f"{of}.{machine.name}")
        return price.amount if price else _UNKNOWN, machine.cpu, machine.memory_gib

    return min(machines(site), key=rank)


def targets_on(site: ResolvedSite, machine: Machine) -> int:
    """How many of the site's targets have room on one machine."""
    return machine.holds(site.gpu.count, float(site.size.cpu), site.size.memory.in_gib) if site.gpu else 0


def needed(site: ResolvedSite, machine: Machine, targets: int) -> int:
    """Machines for so many targets."""
    return -(-targets // targets_on(site, machine))


def disk_gib(site: ResolvedSite, machine: Machine) -> int:
    """Of one machine: for its system, and for the images of as many targets as have room on it."""
    return IMAGE_GIB + int(site.size.storage.in_gib) * targets_on(site, machine)


def disk_tier(site: ResolvedSite) -> str:
    """Of a virtual machine's disk, the smallest with room for its system and for what the spec asks for as storage."""
    needed = SYSTEM_GIB + site.size.storage.in_gib
    return next(tier for tier, gib in DISKS.items() if gib >= needed)
