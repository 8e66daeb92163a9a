"""What size and how many targets weeks of figures speak for, with what that saves and risks. Pure.

A CPU at inference is either busy or idle, so its percentage says how much of the time work is there, and a smaller
processor makes every answer slower by as much: processors are only taken away while the busiest hours stay below
`BUSY`. Memory holds the model: it is what was used at most, and `MEMORY_HEADROOM`. A leak is not cured by a size:
memory that grows steadily until a restart is named, and never shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil

# What the busiest hours (the 99th percentile of samples) may use of the processors, and what is aimed at.
BUSY, AIM, SATURATED = 70.0, 60.0, 85.0
MEMORY_HEADROOM = 1.2
MEMORY_TIGHT = 90.0
IDLE = 3.0
SPIKY = 4.0
LEAST_DAYS, LEAST_SAMPLES = 7.0, 100
# A leak: at least so many percent of memory gained in a day, in most of the stretches between restarts.
LEAK_PER_DAY = 0.5
RESTART_DROP = 10.0


class Shape(Enum):
    """What the load looks like."""

    UNKNOWN = "too little is known yet"
    IDLE = "hardly anything is asked"
    STEADY = "steady"
    SPIKY = "quiet, with bursts"
    SATURATED = "the processors are full"
    LEAKING = "memory grows until a restart"


@dataclass(frozen=True, slots=True)
class Size:
    cpu: float
    memory_gib: float


@dataclass(frozen=True, slots=True)
class Used:
    """Samples of one service, evenly over `days`: percent of the processors and of the memory, means over targets (the
    memory's: the fullest target's). `count` targets ran; `most_waiting` is the 99th percentile of the gateway's line,
    `wait_seconds` that of how long a request waited in it.
    """

    cpu: Sequence[float]
    memory: Sequence[float]
    days: float
    count: int
    most_waiting: float = 0.0
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Advice:
    """A size and counts; `saving` is the part of the bill that goes (below 0: it grows), `None` with unknown prices.

    `evidence` are sentences with the figures it rests on.
    """

    shape: Shape
    size: Size
    min: int
    max: int
    saving: float | None
    risk: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rates:
    """What a processor and a GiB cost for an hour; only their proportion counts."""

    vcpu: float
    gib: float


# Where a price is unknown: a processor is never given for less than any memory, and no saving is told.
_UNKNOWN_RATES = Rates(1e6, 1.0)


def rightsize(used: Used, size: Size, sizes: Sequence[Size], rates: Rates | None, least: int = 0) -> Advice:
    """`sizes` are those the cloud has; `least` targets always run."""
    days, samples = used.days, min(len(used.cpu), len(used.memory))
    if days < LEAST_DAYS or samples < LEAST_SAMPLES:
        known = f"{days:.1f} days and {samples} samples are known; {LEAST_DAYS:.0f} and {LEAST_SAMPLES} are needed"
        return Advice(Shape.UNKNOWN, size, used.count, used.count, 0.0, "none: nothing changes", (known,))
    cpu50, cpu99 = percentile(used.cpu, 50), percentile(used.cpu, 99)
    memory = max(used.memory)
    leak = leak_per_day(used.memory, days)
    shape = _shape(cpu50, cpu99, leak, max(used.most_waiting, used.wait_seconds))
    count_min, count_max = _counts(shape, used, cpu50, cpu99)
    count_min, count_max = max(least, count_min), max(least, count_max)
    by = rates or _UNKNOWN_RATES
    wanted = Size(_cpu(shape, size.cpu, cpu99), _memory(size.memory_gib, memory, leak))
    new = _fitting(wanted, sizes, by) or size
    if _price(new, by) >= _price(size, by) and _holds(size, wanted):
        new = size
    before = _price(size, by) * used.count
    after = _price(new, by) * _mean_count(shape, count_min, count_max, used, least)
    evidence = (
        f"processors: {cpu50:.0f} % at the median, {cpu99:.0f} % at the 99th percentile of {samples} samples",
        f"memory: {memory:.0f} % at most of {size.memory_gib:g} GiB",
        *((f"memory grows by {leak:.1f} % a day between restarts",) if leak else ()),
        *((f"{used.most_waiting:.0f} requests wait at the 99th percentile",) if used.most_waiting else ()),
        *((f"a request waits {used.wait_seconds:.1f} s at the 99th percentile",) if used.wait_seconds else ()),
    )
    saving = 1.0 - after / before if rates and before else None
    return Advice(shape, new, count_min, count_max, saving, _risk(shape, new, size, cpu99), evidence)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def leak_per_day(memory: Sequence[float], days: float) -> float:
    """By how many percent a day memory grows in most stretches between restarts; 0 if it does not."""
    stretches: list[list[float]] = [[]]
    for before, value in zip([memory[0], *memory], memory, strict=False):
        if before - value > RESTART_DROP:
            stretches.append([])
        stretches[-1].append(value)
    per_day = len(memory) / days
    long = [stretch for stretch in stretches if len(stretch) >= per_day]
    if not long:
        return 0.0
    grown = [_slope(stretch) * per_day for stretch in long]
    if sum(each >= LEAK_PER_DAY for each in grown) * 2 <= len(grown):
        return 0.0
    return sum(grown) / len(grown)


def _slope(values: Sequence[float]) -> float:
    """Of the median of the first third to that of the last, so that one wave or load of a model is no leak."""
    third = len(values) // 3
    first, middle, last = (
        sorted(part)[len(part) // 2] for part in (values[:third], values[third:-third], values[-third:])
    )
    if not first < middle < last:
        return 0.0
    # A jump is a load: a leak has grown half of the way by its middle.
    if not 0.25 < (middle - first) / (last - first) < 0.75:
        return 0.0
    return (last - first) / (len(values) * 2 / 3)


def _shape(cpu50: float, cpu99: float, leak: float, waiting: float) -> Shape:
    if leak:
        return Shape.LEAKING
    if cpu99 > SATURATED and (cpu50 > AIM or waiting >= 1.0):
        return Shape.SATURATED
    if cpu99 < IDLE:
        return Shape.IDLE
    return Shape.SPIKY if cpu99 > SPIKY * max(cpu50, 1.0) else Shape.STEADY


def _cpu(shape: Shape, cpu: float, cpu99: float) -> float:
    """The busiest hours at `AIM`. Who asks now and then wants an answer as fast: only steady work gets fewer."""
    if shape is not Shape.STEADY or cpu99 > BUSY:
        return cpu
    return min(cpu, max(cpu * cpu99 / AIM, cpu / 4))


def _memory(gib: float, most: float, leak: float) -> float:
    needed = gib * most / 100.0 * MEMORY_HEADROOM
    return max(gib, needed) if leak or most > MEMORY_TIGHT else min(gib, needed)


def _counts(shape: Shape, used: Used, cpu50: float, cpu99: float) -> tuple[int, int]:
    """Least and most targets: at saturation as many more as bring the busiest hours to `AIM`."""
    count = used.count
    if shape is Shape.IDLE:
        return 0, 1
    if shape is Shape.SATURATED:
        more = max(count + 1, ceil(count * cpu99 / AIM))
        return max(count, ceil(count * cpu50 / AIM)), more
    if shape is Shape.SPIKY:
        return min(count, max(1, ceil(count * cpu50 / AIM))), max(count, ceil(count * cpu99 / AIM))
    return count, max(count, ceil(count * cpu99 / SATURATED))


def _mean_count(shape: Shape, least: int, most: int, used: Used, always: int) -> float:
    """How many run in the mean when the counts follow the work at `AIM`."""
    if shape is Shape.IDLE:
        return float(always)
    work = used.count * sum(used.cpu) / len(used.cpu) / AIM
    return min(float(most), max(float(least), work)) if shape in (Shape.SPIKY, Shape.SATURATED) else float(least)


def _fitting(wanted: Size, sizes: Sequence[Size], rates: Rates) -> Size | None:
    """The cheapest that holds it; None if the cloud has none."""
    fitting = [size for size in sizes if _holds(size, wanted)]
    return min(fitting, key=lambda size: (_price(size, rates), size.cpu), default=None)


def _holds(size: Size, wanted: Size) -> bool:
    return size.cpu >= wanted.cpu - 1e-9 and size.memory_gib >= wanted.memory_gib - 1e-9


def _price(size: Size, rates: Rates) -> float:
    return size.cpu * rates.vcpu + size.memory_gib * rates.gib


def _risk(shape: Shape, new: Size, size: Size, cpu99: float) -> str:
    if shape is Shape.LEAKING:
        return "high: only a restart frees memory; find the leak before anything is made smaller"
    if shape is Shape.IDLE:
        return "low: the first request after a pause waits for a start"
    if new.cpu < size.cpu:
        times = size.cpu / new.cpu
        return f"medium: each answer takes {times:.1f} times as long; busiest hours at {cpu99 * times:.0f} %"
    return "low: speed stays the same"
