"""What a play showed, in memory that does not grow with the requests: a histogram, and a row for each ten minutes."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arriero.simulate.fleet import Fleet

LEAST_SECONDS = 1e-3
# A hundred steps for each factor of e: a percentile is exact to one in a hundred.
STEPS = 100
ROW_SECONDS = 600.0


class Histogram:
    """Of positive seconds, by their logarithm."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = array("q", [0]) * (STEPS * 18)
        self.total = 0

    def add(self, seconds: float) -> None:
        place = int(log(seconds / LEAST_SECONDS) * STEPS) if seconds > LEAST_SECONDS else 0
        self.counts[place] += 1
        self.total += 1

    def percentile(self, percent: float) -> float:
        """0 when there is none."""
        wanted, seen = self.total * percent / 100.0, 0
        for place, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return LEAST_SECONDS * exp((place + 0.5) / STEPS)
        return 0.0


@dataclass(slots=True)
class Row:
    """Ten minutes: requests, the most that waited at a minute's end, targets and dollars so far as of its end."""

    requests: int = 0
    waiting: int = 0
    in_flight: int = 0
    ready: int = 0
    starting: int = 0
    worst: float = 0.0
    cost: float = 0.0


class Figures:
    """Mutable; `close` ends it."""

    def __init__(self, end: float) -> None:
        self.first_token = Histogram()
        self.rows = [Row() for _ in range(int(end / ROW_SECONDS) + 1)]
        self.refusals = self.migrated = self.open_at_end = 0
        self.cost = self.target_hours = self.spot_hours = 0.0
        self.starts = self.evicted = self.most = 0

    def first(self, seconds: float, now: float) -> None:
        self.first_token.add(seconds)
        row = self.rows[int(now / ROW_SECONDS)]
        row.requests += 1
        if seconds > row.worst:
            row.worst = seconds

    def refused(self) -> None:
        """Without an answer: it counts as one that never came."""
        self.refusals += 1
        self.first_token.add(3600.0)

    def minute(self, now: float, waiting: int, in_flight: int, fleet: Fleet) -> None:
        row = self.rows[int((now - 1.0) / ROW_SECONDS)]
        row.waiting, row.in_flight = max(row.waiting, waiting), max(row.in_flight, in_flight)
        row.ready = fleet.ready
        row.starting = fleet.count - row.ready
        if now % ROW_SECONDS == 0.0:
            row.cost = fleet.paid(now)
        self.most = max(self.most, fleet.count)

    def close(self, fleet: Fleet) -> None:
        self.cost, self.target_hours = fleet.cost, fleet.seconds / 3600.0
        self.spot_hours, self.starts, self.evicted = fleet.spot_seconds / 3600.0, fleet.starts, fleet.evicted
