"""What is to be written into the spec for a site, by weeks of its figures: `rightsize.py` in the cloud's sizes. Pure.

Only what would change is advised; an active site keeps one target, and a site whose figures are too few keeps all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from arriero.catalog import catalog
from arriero.catalog.prices import Prices
from arriero.cost.estimate import HOURS_A_MONTH
from arriero.cost.money import Money
from arriero.scale.rightsize import Advice, Rates, Shape, Size, Used, rightsize
from arriero.spec.model import ResolvedSite, Spec
from arriero.spec.units import Bytes, VCpu

# Which prices a target's processors and memory go by.
_ITEMS = {"aws": ("fargate.vcpu", "fargate.memory"), "azure": ("aci.vcpu", "aci.memory")}


@dataclass(frozen=True, slots=True)
class SiteAdvice:
    """`changes` are keys below the site and what to write there; `saving` is of its targets' bill a month."""

    site: ResolvedSite
    advice: Advice
    days: float
    changes: Mapping[str, str | int]
    saving: Money | None

    def as_json(self) -> dict[str, object]:
        site, advice = self.site, self.advice
        return {
            "site": site.name,
            "shape": advice.shape.name.lower(),
            "days": round(self.days, 2),
            "now": {"cpu": str(site.size.cpu), "memory": str(site.size.memory), "min": site.min, "max": site.max},
            "changes": dict(self.changes),
            "saving": None if advice.saving is None else round(advice.saving, 4),
            "saving_a_month": None if self.saving is None else str(self.saving.rounded),
            "risk": advice.risk,
            "evidence": list(advice.evidence),
        }


def advise(site: ResolvedSite, used: Used, prices: Prices) -> SiteAdvice:
    """`used.count` targets run there now."""
    size = Size(float(site.size.cpu), site.size.memory.in_gib)
    rates = _rates(site, prices)
    least = 1 if site.role == "active" else 0
    advice = rightsize(used, size, sizes(site.cloud), rates, least)
    known = advice.shape is not Shape.UNKNOWN
    saving = None
    if known and rates and advice.saving is not None:
        hourly = (size.cpu * rates.vcpu + size.memory_gib * rates.gib) * used.count
        saving = Money(Decimal(str(round(hourly * advice.saving, 6))) * HOURS_A_MONTH)
    return SiteAdvice(site, advice, used.days, _changes(site, size, advice) if known else {}, saving)


def sizes(cloud: str) -> tuple[Size, ...]:
    """Those that a target of that cloud can have; of Container Instances, which has any, those of whole steps."""
    if cloud == "aws":
        return tuple(Size(pair.cpu, pair.memory_gib) for pair in catalog.fargate_pairs())
    limits = catalog.aci_limits()
    cpus = (0.5, *map(float, range(1, int(limits.cpu) + 1)))
    return tuple(Size(cpu, float(gib)) for cpu in cpus for gib in range(1, int(limits.memory_gib) + 1))


def _rates(site: ResolvedSite, prices: Prices) -> Rates | None:
    found = [prices.find(site.cloud, site.region, item) for item in _ITEMS[site.cloud]]
    amounts = [float(price.amount) for price in found if price]
    return Rates(*amounts) if len(amounts) == len(found) else None


def _changes(site: ResolvedSite, size: Size, advice: Advice) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    if advice.size.cpu != size.cpu:
        found["size.cpu"] = str(VCpu(advice.size.cpu))
    if advice.size.memory_gib != size.memory_gib:
        found["size.memory"] = str(Bytes.gib(advice.size.memory_gib))
    if advice.min != site.min:
        found["scale.min"] = advice.min
    if advice.max > site.max:  # room that is there costs nothing while it is not used
        found["scale.max"] = advice.max
    return found


def has_size_since(name: str, spec: Spec, former: Sequence[tuple[Spec, datetime]], earliest: datetime) -> datetime:
    """Since when a site has its size, by its releases, oldest first: figures of another say nothing of this one."""
    since = earliest
    for released, at in reversed(former):
        if name not in released.sites or released.site(name).size != spec.site(name).size:
            return max(earliest, since)
        since = at
    return earliest
