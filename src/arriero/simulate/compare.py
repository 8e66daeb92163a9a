"""Policies side by side: the same traffic, prices, Spot mix, router and starts; over seeds, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import fmean, stdev

from arriero.scale.autoscale import Policy
from arriero.simulate.figures import Row
from arriero.simulate.ours import Ours
from arriero.simulate.play import Play
from arriero.simulate.policies import Clairvoyant, CpuTracking, Fixed, RequestRate, Scaling
from arriero.simulate.scenario import Scene

MINUTE = 60.0
# Two-sided 95 % quantiles of Student's t, by degrees of freedom.
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09)
Made = Callable[[], Scaling]
PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9)
NAMES = ("fixed peak", "CPU target tracking", "requests a second", "arriero", "clairvoyant")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy, one seed. Seconds to the first token (`percentiles`: of `PERCENTILES`); dollars; hours of targets."""

    policy: str
    seed: int
    with_spot: bool
    requests: int
    refused: int
    p50: float
    p95: float
    p99: float
    cost: float
    hours: float
    spot_hours: float
    most: int
    starts: int
    evicted: int
    migrated: int
    rows: tuple[Row, ...] = ()
    percentiles: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Mean:
    """Over the seeds, with the half width of its 95 % confidence interval (0 for one seed)."""

    value: float
    within: float

    def __str__(self) -> str:
        return f"{self.value:.2f}" + (f" ±{self.within:.2f}" if self.within else "")


def mean(values: Sequence[float]) -> Mean:
    if len(values) < 2:
        return Mean(values[0], 0.0)
    t = _T[len(values) - 2] if len(values) - 2 < len(_T) else 1.96
    return Mean(fmean(values), t * stdev(values) / sqrt(len(values)))


def policies(scene: Scene, seed: int) -> Mapping[str, Made]:
    """All that are compared, each made anew for a play. What they know of the week is said with each."""
    counts, start = scene.scenario.counts, float(scene.scenario.cloud.start)
    work = _WeekOfWork(scene, seed)
    return {
        # Knows the busiest minute beforehand, and has room for just that.
        "fixed peak": lambda: Fixed(min(counts.max, max(counts.min, ceil(work.busiest_minute)))),
        # 60 % is usual advice; AWS's pause of 300 s after a step out is cut to 60 s, in the peer's favour.
        "CPU target tracking": lambda: CpuTracking(0.6, counts.min, counts.max, 60.0, 300.0),
        # Knows what a request costs in the mean, and fills a target to six tenths; SkyServe's own delays.
        "requests a second": lambda: RequestRate(0.6 / work.mean, counts.min, counts.max, 300.0, 1200.0),
        "arriero": lambda: Ours(Policy(counts.min, counts.max), scene.pace, start),
        # Filled so far that its p99 of the conversation is ours: a bound is one at the same wait.
        "clairvoyant": lambda: Clairvoyant(work.windows, work.window, start, counts.min, counts.max, 0.6),
    }


class _WeekOfWork:
    """The work of a seed's whole traffic: what only the clairvoyant and the planner of a fixed peak may know."""

    window = 30.0

    def __init__(self, scene: Scene, seed: int) -> None:
        self.windows = [0.0] * (int(scene.seconds / self.window) + 1)
        pace, count, whole = scene.pace, 0, 0.0
        for at, prompt, answer, _ in scene.arrivals(seed):
            work = pace.work(prompt, answer)
            self.windows[int(at / self.window)] += work / self.window
            count, whole = count + 1, whole + work
        self.mean = whole / max(1, count)
        pairs = zip(self.windows[::2], self.windows[1::2], strict=False)
        self.busiest_minute = max(((one + other) / 2 for one, other in pairs), default=0.0)


def play(scene: Scene, policy: str, seed: int, with_spot: bool) -> Outcome:
    scaling = policies(scene, seed)[policy]()
    whole = Play(scene.service, scene.pace, scene.cloud, scene.mix(with_spot), scaling, seed, scene.seconds)
    found = whole.run(scene.arrivals(seed))
    first = found.first_token
    return Outcome(
        policy, seed, with_spot, first.total, found.refusals,
        first.percentile(50), first.percentile(95), first.percentile(99),
        found.cost, found.target_hours, found.spot_hours, found.most, found.starts, found.evicted, found.migrated,
        tuple(found.rows) if seed == 1 else (), tuple(first.percentile(each) for each in PERCENTILES),
    )  # fmt: skip


def compared(
    scene: Scene, names: Sequence[str], seeds: Sequence[int], spot: Sequence[bool], jobs: int = 1
) -> Iterator[Outcome]:
    """As they come, in a fixed order; `jobs` processes side by side."""
    asked = [(scene, name, seed, with_spot) for with_spot in spot for seed in seeds for name in names]
    if jobs == 1:
        yield from (play(*each) for each in asked)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_play, asked)


def _play(asked: tuple[Scene, str, int, bool]) -> Outcome:
    return play(*asked)
