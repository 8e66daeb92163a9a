"""Which sites the targets of a service run at: the cheapest active ones first, dearer ones for what is more, standbys
for what no active one can take. Pure.

Nothing is moved for a price's sake: what is more than runs now is added in this order, what is less is taken away in
the opposite one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """One site: `count` targets run or start there now, without those that leave.

    `min` and `max` are the spec's, `most` is what could run there as things are (quota, failures). One that `is_fixed`
    is left as it is; `why` says what keeps it so, or limits it.
    """

    site: str
    count: int
    min: int
    max: int
    most: int
    cost: float = 0.0
    is_standby: bool = False
    is_fixed: bool = False
    why: str = ""

    @property
    def least(self) -> int:
        """A standby's own minimum is its warm reserve: it is no part of what serves every day."""
        return self.count if self.is_fixed else self.min

    @property
    def greatest(self) -> int:
        return self.count if self.is_fixed else max(self.min, min(self.max, max(self.most, self.count)))

    @property
    def serving(self) -> int:
        """How many of them count among those that serve."""
        return max(0, self.count - self.min) if self.is_standby else self.count


def bounds(rooms: Collection[Room]) -> tuple[int, int, int]:
    """The least, the present and the greatest number of targets that serve, at all sites together."""
    spare = {room.site: room.count - room.serving for room in rooms}
    least = sum(max(0, room.least - (room.min if room.is_standby else 0)) for room in rooms)
    return least, sum(room.serving for room in rooms), sum(max(0, room.greatest - spare[room.site]) for room in rooms)


def shares(wanted: int, rooms: Sequence[Room]) -> Mapping[str, int]:
    """How many should run at each site, so that `wanted` serve, as far as the sites have room."""
    found = {room.site: min(max(room.count, room.least), room.greatest) for room in rooms}
    order = sorted(
        (room for room in rooms if not room.is_fixed), key=lambda room: (room.is_standby, room.cost, room.site)
    )
    serving = sum(_serving(room, found[room.site]) for room in rooms)
    for room in order:
        more = min(max(0, wanted - serving), room.greatest - found[room.site])
        found[room.site] += more
        serving += more
    for room in reversed(order):
        fewer = min(max(0, serving - wanted), found[room.site] - room.least)
        found[room.site] -= fewer
        serving -= fewer
    return found


def _serving(room: Room, count: int) -> int:
    return max(0, count - room.min) if room.is_standby else count
