"""The machine that a site's targets with GPUs run on: the cheapest that has room for one, by the hour.

The catalog's prices decide, never those of a user's file: everybody who deploys the spec gets the same machine.
"""

from __future__ import annotations

from decimal import Decimal

from arriero.catalog import catalog
from arriero.catalog.gpu_machines import Machine
from arriero.spec.check_gpu import machines
from arriero.spec.model import ResolvedSite

# The snapshot of Amazon's image for ECS; what the spec asks for as storage comes on top.
IMAGE_GIB = 30
_UNKNOWN = Decimal("Infinity")


def chosen(site: ResolvedSite) -> Machine:
    """Where no price is known, the smallest. The checked spec of a site with GPUs always has one."""

    def rank(machine: Machine) -> tuple[Decimal, int, float]:
        price = catalog.price(site.cloud, site.region, f"ec2.{machine.name}")
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
