"""One drill: load, the fault, its end, recovery, everything put back, a verdict.

    calm -> fault -> over -> recovered (or patience is over) -> put back -> judged

Recovered is: every site has as many targets that answer as before, and small requests are answered again. What is put
back by the drill itself (roles that a controller changed, a bad release) is no act of a person; what would still be to
do after that is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, sleep, time
from typing import Protocol

from arriero.drill.load import Answer, Door, Load, Traffic, asked_again
from arriero.drill.scenario import Scenario, Strike
from arriero.drill.verdict import Moment, Observed, Verdict, judge
from arriero.simulate.trace import Trace

CALM_SECONDS = 6.0
LOOK_SECONDS = 0.25
# So many small requests in a row that were answered: all is well.
WELL = 8
ASKED_AGAIN = 5


class World(Protocol):
    """What is under drill. Nothing here raises for what a fault does: it is what the drill is there to see."""

    def strike(self, strike: Strike, until: float) -> Sequence[str]:
        """Begins a fault that ends by itself at `until` (seconds since 1970); one in the past ends it at once."""

    def deploy_badly(self) -> str:
        """Deploys a release that can't run; returns how that ended, in a line."""

    def counts(self) -> Mapping[str, int] | None:
        """By site how many targets answer the gateway; None where it can't be asked."""

    def records(self) -> Mapping[str, str]:
        """Of the records that both stores of the ledger hold: their content's hash."""

    def held(self) -> Mapping[str, str]:
        """The same of all records that are in any store."""

    def retries(self) -> int:
        """How many requests the gateway has tried anew so far."""

    def events(self) -> Sequence[tuple[float, str]]:
        """What controllers told since the drill began: (seconds since 1970, words)."""

    def put_back(self) -> Sequence[str]:
        """Gives roles and releases back as they were; returns what it did, a line each."""

    def pending(self) -> Sequence[str]:
        """What a person would still have to do; nothing where the plan is empty."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a drill is played: `fault_seconds` long, under `a_second` requests of the trace, while the targets that are
    left have so many `places`; `patience_seconds` for the recovery.
    """

    trace: Trace
    a_second: float
    places: int
    seed: int
    fault_seconds: float = 20.0
    patience_seconds: float = 180.0
    tell: Callable[[str], None] = lambda _: None


@dataclass
class _Log:
    """What happened when; written by the looking thread, too."""

    tell: Callable[[str], None]
    struck: float = 0.0
    began: float = field(default_factory=monotonic)
    moments: list[tuple[float, str]] = field(default_factory=list)

    def add(self, what: str, at: float | None = None) -> None:
        self.moments.append((monotonic() if at is None else at, what))
        self.tell(what)

    def timeline(self) -> tuple[Moment, ...]:
        return tuple(Moment(round(at - self.struck, 2), what) for at, what in sorted(self.moments))


def play(world: World, door: Door, scenario: Scenario, course: Course) -> Verdict:
    log = _Log(course.tell)
    before, records, retried = world.counts() or {}, world.records(), world.retries()
    traffic = Traffic(course.trace, course.a_second, course.places, CALM_SECONDS + course.fault_seconds)
    load = Load(door, traffic, course.seed)
    watch = _Watch(world, log)
    load.start()
    watch.start()
    try:
        sleep(CALM_SECONDS)
        recovered = _played(world, scenario, course, log, before, load)
    finally:
        answers = load.end()
        watch.end()
    done = [f"put back: {line}" for line in world.put_back()]
    for line in done:
        log.add(line)
    acts = tuple(world.pending())
    for at, what in world.events():
        log.moments.append((monotonic() - (time() - at), what))
    seen = Observed(
        struck=log.struck,
        recovered=recovered,
        timeline=log.timeline(),
        before=records,
        after=world.held(),
        retried=world.retries() - retried,
        acts=acts,
        rewritten=_rewritten(door, answers),
    )
    return judge(scenario, course.seed, answers, seen)


def _played(
    world: World, scenario: Scenario, course: Course, log: _Log, before: Mapping[str, int], load: Load
) -> float | None:
    """The fault from its beginning; returns when all was well again."""
    until = time() + course.fault_seconds
    log.struck = monotonic()
    log.add(f"fault: {scenario.what}")
    for strike in scenario.strikes:
        for line in world.strike(strike, until):
            log.add(line)
    if scenario.deed == "bad-release":
        log.add(world.deploy_badly())
    else:
        sleep(max(0.0, until - time()))
    for strike in scenario.strikes:
        if not strike.is_short:
            world.strike(strike, 1.0)
    over = monotonic()
    log.add("the fault is over")
    while monotonic() < over + course.patience_seconds:
        if _is_well(world.counts(), before, load.answers):
            log.add("recovered: as many targets answer as before, and requests are answered")
            return monotonic()
        sleep(LOOK_SECONDS)
    log.add(f"not recovered within {course.patience_seconds:g} s: {world.counts()} answer, {dict(before)} did before")
    return None


def _is_well(counts: Mapping[str, int] | None, before: Mapping[str, int], answers: Sequence[Answer]) -> bool:
    probes = [answer for answer in list(answers) if answer.kind == "probe" and answer.ended][-WELL:]
    is_whole = counts is not None and all(counts.get(site, 0) >= count for site, count in before.items())
    return is_whole and len(probes) == WELL and all(probe.outcome == "complete" for probe in probes)


def _rewritten(door: Door, answers: Sequence[Answer]) -> int:
    """How many of some migrated streams say something else than the same question does now."""
    moved = [answer for answer in answers if answer.is_migrated and answer.outcome == "complete"][:ASKED_AGAIN]
    again = [(answer, asked_again(door, answer)) for answer in moved]
    return sum(one.outcome == "complete" and one.words() != answer.words() for answer, one in again)


class _Watch:
    """Notes each change in how many targets answer, in a thread of its own."""

    def __init__(self, world: World, log: _Log) -> None:
        self._world, self._log = world, log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch of a drill", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        known: Mapping[str, int] = {}
        while not self._over.wait(LOOK_SECONDS):
            found = self._world.counts()
            if found is None:
                continue
            for site, count in found.items():
                if known and known.get(site) != count:
                    self._log.add(f"{site}: {known.get(site, 0)} -> {count} targets answer")
            known = found
