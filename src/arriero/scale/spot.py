"""Which targets are Spot, and where: a guaranteed base on demand, then a share of Spot, spread over zones. Pure.

One reclaim takes many targets of one zone at once, so zones are filled evenly, each kind by itself; a zone whose Spot
went away gets none until it is said to be back, and on-demand stands in meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from arriero.spec.spot import spot_of


@dataclass(frozen=True, slots=True)
class Mix:
    """The first `base` targets are on demand; of those above, `share` are Spot (0: none, 1: all)."""

    base: int = 0
    share: float = 0.0

    def spot_of(self, count: int) -> int:
        """How many of so many should be Spot."""
        return spot_of(count, self.base, self.share)


@dataclass(frozen=True, slots=True)
class Placed:
    """A target that runs or starts."""

    zone: int
    is_spot: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where and as what the next target starts, and why."""

    zone: int
    is_spot: bool
    reason: str


def next_place(placed: Sequence[Placed], mix: Mix, zones: int, away: Collection[int]) -> Place:
    """For one more target; `away` are the zones where Spot is not to be had now."""
    spots = sum(each.is_spot for each in placed)
    wants_spot = spots < mix.spot_of(len(placed) + 1)
    open_zones = [zone for zone in range(zones) if zone not in away]
    is_spot = wants_spot and bool(open_zones)
    among = open_zones if is_spot else list(range(zones))
    used = Counter(each.zone for each in placed if each.is_spot == is_spot)
    everywhere = Counter(each.zone for each in placed)
    zone = min(among, key=lambda each: (used[each], everywhere[each], each))
    if is_spot:
        return Place(zone, True, f"{spots} of {len(placed)} are Spot, and {mix.spot_of(len(placed) + 1)} may be")
    why = "Spot is not to be had now" if wants_spot else f"the first {mix.base} are on demand, and the mix is full"
    return Place(zone, False, why if mix.share else "no Spot is wanted")


def swap(placed: Sequence[Placed], mix: Mix, away: Collection[int]) -> bool:
    """Whether an on-demand target stands in for a Spot one that could be had again."""
    return not away and sum(each.is_spot for each in placed) < mix.spot_of(len(placed))
