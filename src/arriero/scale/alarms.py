"""What alerts say of a site, and how many targets it should have by them alone. Pure but for its lock.

A rule is named `<target>-<metric>-high` or `-low`. An alert tells only when its condition begins or ends to hold, so
what was told is remembered; after a start nothing is known, and nothing is done until something is told.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import ceil

from arriero.control.alerts import Alert

HIGH, LOW = "high", "low"
# Of those that run, so many more at a time.
STEP_SHARE = 0.5


def rules(watched: Iterable[str], metrics: Collection[str], which: str) -> list[str]:
    return [f"{target}-{metric}-{which}" for target in watched for metric in metrics]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one site; cooldowns in seconds."""

    least: int
    most: int
    cooldown_out: float
    cooldown_in: float


@dataclass
class Alarms:
    """`take` may be called by any thread; `is_woken` says once that something was told since it was asked last."""

    _fired: dict[str, bool] = field(default_factory=dict)
    _stepped: dict[tuple[str, str], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _woken: threading.Event = field(default_factory=threading.Event)

    def take(self, alert: Alert) -> None:
        with self._lock:
            self._fired[alert.rule] = alert.is_fired
        self._woken.set()

    def is_woken(self) -> bool:
        found = self._woken.is_set()
        self._woken.clear()
        return found

    def wish(
        self, site: str, now: float, count: int, watched: Collection[str], metrics: Collection[str], bounds: Bounds
    ) -> tuple[int, str]:
        """How many should run there at `now` (seconds), and why: half as many more while any target is above a goal;
        one fewer while every watched one is far below all of them.
        """
        high = self._firing(rules(watched, metrics, HIGH))
        if high and self._may(site, HIGH, now, bounds.cooldown_out):
            more = min(bounds.most, count + max(1, ceil(STEP_SHARE * count)))
            return max(count, more), f"{high[0]} has fired"
        low = rules(watched, metrics, LOW)
        if not high and low and self._firing(low) == low and self._may(site, LOW, now, bounds.cooldown_in):
            return min(count, max(bounds.least, count - 1)), f"{', '.join(low)} have fired"
        return count, ""

    def stepped(self, site: str, now: float, is_out: bool) -> None:
        """Something was done; the next step in that direction waits. After more, fewer wait, too."""
        self._stepped[site, HIGH if is_out else LOW] = now
        if is_out:
            self._stepped[site, LOW] = now

    def _firing(self, names: list[str]) -> list[str]:
        with self._lock:
            return [name for name in names if self._fired.get(name)]

    def _may(self, site: str, which: str, now: float, cooldown: float) -> bool:
        return now - self._stepped.get((site, which), float("-inf")) >= cooldown
