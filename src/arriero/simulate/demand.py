"""Traffic of days made of a recorded hour: played again and again, thinned by the hour of the day.

The trace goes on from a place drawn anew each hour, so that no hour repeats another's minutes and bursts keep their
length. A request is kept with the chance that gives the wanted rate at that hour; where that is more than the trace
has, several copies are played over each other. Each request draws its model by Zipf's law.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import NamedTuple

from arriero.simulate.trace import Trace

HOUR, DAY, WEEK = 3600.0, 86400.0, 604800.0


class Arrival(NamedTuple):
    """`at`: seconds since Monday, midnight. `model` is a place in the scenario's list."""

    at: float
    prompt: int
    answer: int
    model: int = 0


@dataclass(frozen=True)
class Curve:
    """How much is asked at each full hour of a day, of the most; between the hours in a straight line."""

    weekday: tuple[float, ...]
    weekend: tuple[float, ...]

    def at(self, seconds: float) -> float:
        hour = int(seconds // HOUR)
        part = seconds / HOUR - hour
        return self._of_hour(hour) * (1.0 - part) + self._of_hour(hour + 1) * part

    def mean(self) -> float:
        """Over a week."""
        return sum(map(self._of_hour, range(168))) / 168

    def _of_hour(self, hour: int) -> float:
        day, hour = hour // 24 % 7, hour % 24
        return (self.weekday if day < 5 else self.weekend)[hour]


FLAT = Curve((1.0,) * 24, (1.0,) * 24)


def arrivals(
    trace: Trace, curve: Curve, rate: float, seconds: float, seed: int, models: int = 1, zipf: float = 1.0
) -> Iterator[Arrival]:
    """In order of time, from Monday's midnight on; `rate` is the mean over a week, in requests a second."""
    peak = rate / curve.mean() * max(*curve.weekday, *curve.weekend)
    copies = ceil(peak / trace.rate)
    chance = rate / curve.mean() / trace.rate / copies
    played = [_played(trace, curve, chance, seconds, random.Random(seed * 1000 + copy)) for copy in range(copies)]
    merged = heapq.merge(*played) if copies > 1 else played[0]
    draw, steps = random.Random(seed * 1000 + 999).random, _zipf(models, zipf)
    for at, prompt, answer in merged:
        yield Arrival(at, prompt, answer, bisect_left(steps, draw()) if models > 1 else 0)


def _played(
    trace: Trace, curve: Curve, chance: float, seconds: float, source: random.Random
) -> Iterator[tuple[float, int, int]]:
    draw, at, prompt, answer = source.random, trace.at, trace.prompt, trace.answer
    start, whole, last = 0.0, trace.seconds, len(trace.at)
    while start < seconds:
        end, offset = min(start + HOUR, seconds), draw() * whole
        place = bisect_left(at, offset)
        base, step = start - offset, 0
        while True:
            if place == last:
                place, base = 0, base + whole
            when = base + at[place]
            if when >= end:
                break
            # The curve moves little in a minute: it is read again each 16 requests.
            if step % 16 == 0:
                keep = chance * curve.at(when)
            step += 1
            if draw() < keep:
                yield when, prompt[place], answer[place]
            place += 1
        start = end


def _zipf(models: int, exponent: float) -> list[float]:
    weights = [1.0 / rank**exponent for rank in range(1, models + 1)]
    whole = sum(weights)
    return [*accumulate(weight / whole for weight in weights[:-1]), 1.0]
