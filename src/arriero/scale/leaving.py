"""Who leaves when fewer are wanted: who serves nobody, then who would be free soonest. Pure.

To leave means: nothing new from now on, and gone when the last stream has ended. Never is one stopped that has streams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from arriero.scale.spot import Mix


@dataclass(frozen=True, slots=True)
class Leaver:
    """A target that might leave; `streams` are open there."""

    id: str
    is_starting: bool
    streams: int
    is_spot: bool
    zone: int
    since: float


def leave_first(targets: Iterable[Leaver], count: int, mix: Mix) -> list[str]:
    """Ids of `count` targets, in order: of the kind that is too many, from the fullest zone, those still starting, with
    the fewest streams, the youngest.
    """
    left = list(targets)
    found: list[str] = []
    while left and len(found) < count:
        is_spot = sum(each.is_spot for each in left) > mix.spot_of(len(left) - 1)
        kind = [each for each in left if each.is_spot == is_spot] or left
        zones = Counter(each.zone for each in kind)
        gone = min(kind, key=lambda each: (not each.is_starting, each.streams, -zones[each.zone], -each.since))
        left.remove(gone)
        found.append(gone.id)
    return found
