"""What the stage's clouds measured, minute by minute, for whoever asks their monitors. Threads may share it."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from arriero.rehearse.gauge import Measured
from arriero.rehearse.planted import by_period

_KEPT = 1500


@dataclass(frozen=True, slots=True)
class Series:
    """The minutes of one thing, oldest first, in the form of what may be planted instead (`planted.Planted`)."""

    rows: tuple[tuple[datetime, Measured], ...]

    def between(self, kind: str, start: datetime, end: datetime, period: float) -> Iterator[tuple[datetime, float]]:
        """The mean of each period (its beginning is its time) that holds minutes."""
        for at, values in self.samples(kind, start, end, period).items():
            yield at, sum(values) / len(values)

    def samples(self, kind: str, start: datetime, end: datetime, period: float) -> Mapping[datetime, list[float]]:
        """By the beginning of each period that holds any; a minute is one sample, the mean of all that was measured."""
        points = ((at, found.cpu if kind == "cpu" else found.memory) for at, found in self.rows)
        return by_period(points, start, end, period)


@dataclass
class Minutes:
    """By name: an ECS service, a container group. `add` notes a glance, `close` ends the minute with the means."""

    _open: dict[str, list[Measured]] = field(default_factory=lambda: defaultdict(list))
    _rows: dict[str, deque[tuple[datetime, Measured]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, glance: Measured) -> None:
        with self._lock:
            self._open[name].append(glance)

    def close(self, at: datetime) -> dict[str, Measured]:
        """The mean of each that was looked at since the last time."""
        with self._lock:
            means = {name: mean(glances) for name, glances in self._open.items()}
            self._open.clear()
            for name, found in means.items():
                self._rows.setdefault(name, deque(maxlen=_KEPT)).append((at, found))
            return means

    def of(self, name: str) -> Series | None:
        with self._lock:
            rows = self._rows.get(name)
            return Series(tuple(rows)) if rows else None


def mean(glances: list[Measured]) -> Measured:
    count = len(glances)
    return Measured(sum(each.cpu for each in glances) / count, sum(each.memory for each in glances) / count)
