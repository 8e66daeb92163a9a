"""What keeps more targets from being started: a cloud's quota of creations, and the budget. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from arriero.catalog.prices import Prices
from arriero.cost.budget import judge
from arriero.cost.estimate import estimate
from arriero.spec.model import Spec

# https://learn.microsoft.com/azure/container-instances/container-instances-resource-and-quota-limits: container groups
# created in a region, by hour and by five minutes.
CREATIONS = ((300.0, 100), (3600.0, 300))


@dataclass
class Creations:
    """The creations of the last hour in one region, as far as they were ours. Mutable; `now` is monotonic."""

    windows: tuple[tuple[float, int], ...] = CREATIONS
    _made: list[float] = field(default_factory=list)
    _closed_until: float = float("-inf")

    def left(self, now: float) -> int:
        """How many may be made now."""
        if now < self._closed_until:
            return 0
        longest = max(seconds for seconds, _ in self.windows)
        self._made = [at for at in self._made if now - at < longest]
        return min(most - sum(now - at < seconds for at in self._made) for seconds, most in self.windows)

    def made(self, now: float, count: int) -> None:
        self._made += [now] * count

    def refused(self, now: float, seconds: float) -> None:
        """The cloud itself says that there is nothing left, for so long: others create there, too."""
        self._closed_until = max(self._closed_until, now + seconds)


def within_budget(
    spec: Spec, prices: Prices, now: Mapping[str, int], wanted: Mapping[str, int]
) -> tuple[Mapping[str, int], str]:
    """As many of the additional targets as the budget bears, those of the first sites first, and a sentence where it
    bears fewer than wanted. What runs already is never taken away for money's sake.
    """
    found = dict(wanted)
    said = ""
    while any(found[site] > count for site, count in now.items()):
        judged = judge(spec.budget, [estimate(spec.site(site), found[site], prices) for site in found])
        if judged is None or judged.standing != "over":
            break
        said = f"the budget bears no more: {judged.sentence}"
        last = [site for site, count in now.items() if found[site] > count][-1]
        found[last] -= 1
    return found, said
