"""In which order sites are filled: by what work costs there, an hour's price over the speed that was measured. Pure.

A speed counts in comparison only: that of each model, at this site against the fastest one that serves it. What would
come and go (SLIGHT) counts for nothing, and neither does a speed that nobody measured: then price alone does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from arriero.catalog.prices import BUILT_IN, Prices
from arriero.control.load import SiteSpeeds
from arriero.cost.ranking import hourly_by_site, hourly_of_a_target
from arriero.spec.model import Spec

SLIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Ranked:
    """One site: `hourly` is what a target costs there in US dollars, None where that is not known. `speed` is a part of
    the fastest site's, `cost` what the order goes by.
    """

    site: str
    is_standby: bool
    hourly: float | None
    speed: float
    is_measured: bool
    cost: float

    @property
    def why(self) -> str:
        price = (
            "price unknown, so counted as the dearest"
            if self.hourly is None
            else f"${self.hourly:.4f} an hour a target"
        )
        if not self.is_measured:
            speed = "speed not measured in comparison"
        elif self.speed == 1.0:
            speed = "as fast as any"
        else:
            speed = f"{self.speed:.0%} of the fastest's speed, so ${self.cost:.4f} for the same work"
        standby = "standby: only when no active site has room; " if self.is_standby else ""
        return f"{standby}{price}, {speed}"


def ranked(spec: Spec, speeds: SiteSpeeds, prices: Prices = BUILT_IN) -> tuple[Ranked, ...]:
    """The sites in the order in which more is started; what is less leaves in the opposite one."""
    costs = hourly_by_site(spec, prices)
    found = []
    for name in spec.sites:
        relative = _relative(name, speeds)
        speed = 1.0 if relative is None or relative > 1.0 - SLIGHT else relative
        hourly = hourly_of_a_target(spec.site(name), prices)
        is_standby = spec.sites[name].role == "standby"
        found.append(Ranked(name, is_standby, hourly, speed, relative is not None, costs[name] / speed))
    return tuple(sorted(found, key=lambda each: (each.is_standby, each.cost, each.site)))


def _relative(site: str, speeds: SiteSpeeds) -> float | None:
    """The mean over its models of its pace against the fastest site's; None where there is none to compare with."""
    parts = []
    for model, pace in speeds.get(site, {}).items():
        others = [each[model] for each in speeds.values() if each.get(model)]
        if pace and len(others) > 1:
            parts.append(pace / max(others))
    return sum(parts) / len(parts) if parts else None


def costs(order: tuple[Ranked, ...]) -> Mapping[str, float]:
    return {each.site: each.cost for each in order}
