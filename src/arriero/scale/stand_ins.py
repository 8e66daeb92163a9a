"""On demand in Spot's place: how many targets stand in for those that the cloud finds no Spot capacity for. Pure.

The cloud itself goes on asking for Spot, so nothing has to be told to come back: a stand-in leaves once Spot has been
there, ready, for a while. It leaves as all do: nothing new, then gone when nothing is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Spot that is back may go again at once; a start of a target takes a minute.
STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class StandIn:
    """One that runs or starts; `is_leaving`: it was told to drain; `open` requests are there, whoever sent them."""

    id: str
    release: int | None
    is_leaving: bool
    open: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the cloud tells of one site. Of `wanted` targets of `release`, for `unplaced` no capacity is to be had; of
    the others `ready` answer, as many as should for `steady_seconds`.
    """

    wanted: int
    unplaced: int
    ready: int
    steady_seconds: float
    release: int | None = None

    @property
    def is_whole(self) -> bool:
        """All that can be placed answer."""
        return self.ready >= self.wanted - self.unplaced


@dataclass(frozen=True, slots=True)
class Move:
    """`start` so many; `keep`, `drain` and `stop` are ids. `why` is empty where nothing is to be done."""

    start: int = 0
    keep: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    why: str = ""

    def __bool__(self) -> bool:
        return bool(self.start or self.keep or self.drain or self.stop)


def decide(capacity: Capacity, standing: Sequence[StandIn]) -> Move:
    """What to do now; to be asked every few seconds."""
    former = [each for each in standing if None not in (each.release, capacity.release)]
    former = [each for each in former if each.release != capacity.release]
    own = [each for each in standing if each not in former]
    staying, leaving = [e for e in own if not e.is_leaving], [e for e in own if e.is_leaving]
    missing = capacity.unplaced - len(staying)
    kept = leaving[: max(0, missing)]
    gone = tuple(e.id for e in standing if e.is_leaving and not e.open and e not in kept)
    outdated = tuple(e.id for e in former if not e.is_leaving) if capacity.is_whole else ()
    if missing > 0:
        start = missing - len(kept)
        why = f"no Spot capacity for {capacity.unplaced} of {capacity.wanted} targets: on demand stands in"
        return Move(start, tuple(e.id for e in kept), outdated, gone, why)
    surplus = sorted(staying, key=lambda each: each.open)[: -missing or 0]
    may_go = capacity.is_whole and capacity.steady_seconds >= STEADY_SECONDS
    drain = (*outdated, *(tuple(e.id for e in surplus) if may_go else ()))
    return Move(0, (), drain, gone, "Spot is back" if surplus else "of a former release" if former else "")
