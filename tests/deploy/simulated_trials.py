"""Trials by the thousand: does the judge send bad releases back and let good ones pass? Every request is drawn.

    python tests/deploy/simulated_trials.py [--runs 2000] [--report FILE]

Each run walks a canary of 5, 25 and 100 % with the product's own course and judge. Traffic is conversations: a turn
whose beginning is new to its target waits for a cold prompt cache. Servers differ from each other, load goes up and
down, and first-token times are log-normal. Cases: the same release again (also with noise that no two servers share),
30 % errors, twice the time to the first token, empty answers. Bars hold for the upper end of a 95 % interval.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from arriero.control.trials import STRATA, Moments, Tally, stratum
from arriero.deploy.trial.course import Course
from arriero.deploy.trial.judge import wilson

PERCENTS, HOLD_SECONDS, LOOK_SECONDS = (5.0, 25.0, 100.0), 60.0, 2.0
MOST_SECONDS = 900.0


@dataclass(frozen=True)
class Release:
    """`spread` is the standard deviation of the first token's logarithm, `unlike` that of servers among each other."""

    errors: float = 0.005
    empty: float = 0.005
    first_token: float = 0.4
    cold: float = 1.2
    token_seconds: float = 0.02
    spread: float = 0.6
    unlike: float = 0.03


GOOD = Release()
# Half as many errors again come and go by themselves, answers take a tenth to ten times as long.
NOISY = Release(errors=0.02, empty=0.02, spread=1.0, unlike=0.06)


@dataclass(frozen=True)
class Case:
    name: str
    running: Release
    new: Release
    is_bad: bool


CASES = (
    Case("30 % errors", GOOD, replace(GOOD, errors=0.3), True),
    Case("30 % errors among noise", NOISY, replace(NOISY, errors=0.3), True),
    Case("twice the first token", GOOD, replace(GOOD, first_token=0.8, cold=2.4), True),
    Case("twice the first token among noise", NOISY, replace(NOISY, first_token=0.8, cold=2.4), True),
    Case("empty answers", GOOD, replace(GOOD, empty=0.5), True),
    Case("the same release", GOOD, GOOD, False),
    Case("right but noisy", NOISY, NOISY, False),
)


class Side:
    """One release's servers, and what the gateway counts of them."""

    def __init__(self, release: Release, chance: random.Random) -> None:
        self.release, self._chance = release, chance
        self._servers = [chance.gauss(0.0, release.unlike) for _ in range(2)]
        self._numbers = Tally().numbers()

    @property
    def tally(self) -> Tally:
        return Tally.from_numbers(self._numbers)

    def serve(self, is_cold: bool, load: float) -> None:
        release, chance, numbers = self.release, self._chance, self._numbers
        numbers[0] += 1
        if chance.random() < release.errors:
            numbers[1] += 1
            return
        numbers[2] += 1
        if chance.random() < release.empty:
            numbers[3] += 1
            return
        server = chance.choice(self._servers)
        typical = release.cold if is_cold else release.first_token
        self._see(stratum(is_cold, 600), typical * math.exp(chance.gauss(server, release.spread)) * load)
        self._see(STRATA, release.token_seconds * math.exp(chance.gauss(server, 0.2)) * load)

    def _see(self, place: int, seconds: float) -> None:
        moments = Moments.of((seconds,))
        for offset, value in enumerate((moments.count, moments.total, moments.squares)):
            self._numbers[4 + 3 * place + offset] += value


def goes_back(case: Case, seed: int, requests_a_second: float = 20.0) -> tuple[bool, float]:
    """Whether this run's release goes back, and after how many seconds that, or the end of the trial, is known."""
    chance = random.Random(f"{case.name} {seed}")
    old, new = Side(case.running, chance), Side(case.new, chance)
    course, now = Course(PERCENTS, HOLD_SECONDS), 0.0
    step = course.begin(now)
    share, phase, moved = 0.0, chance.random() * 6.28, 0.0
    while now < MOST_SECONDS:
        if step.act == "step":
            # Conversations that move find a cold cache: as many as the share grew, for a while.
            share, moved = step.percent / 100, step.percent / 100 - share
        if step.act in ("back", "done"):
            return step.act == "back", now
        if step.act == "ask":
            step = course.answered(now, new.tally, old.tally)
            continue
        now, moved = now + LOOK_SECONDS, moved * 0.9
        load = 1.0 + 0.2 * math.sin(now / 40 + phase)
        for _ in range(round(requests_a_second * LOOK_SECONDS * load)):
            if chance.random() < share:
                new.serve(chance.random() < 0.2 + moved * 0.8 / share, load)
            else:
                old.serve(chance.random() < 0.2, load)
        step = course.look(now, new.tally, old.tally)
    return False, now


def main() -> int:
    sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
    from bars import Bar, conclude

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--report", default="")
    asked = parser.parse_args()
    bars = []
    for case in CASES:
        wrong, seconds = wrong_of(case, asked.runs, print_to=lambda text: print(text, flush=True))
        name, bar = ("misses", 0.01) if case.is_bad else ("false alarms", 0.02)
        bars.append(Bar(f"{case.name}: {name}, at most", wilson(wrong, asked.runs, 1.96)[1], "", bar))
        bars.append(Bar(f"{case.name}: simulated seconds, median", seconds, "s"))
    return conclude(bars, asked.report)


def wrong_of(case: Case, runs: int, print_to: Callable[[str], None] = lambda _: None) -> tuple[int, float]:
    """How many of so many runs end wrong, and the median of the seconds until they end."""
    ends = [goes_back(case, seed) for seed in range(runs)]
    wrong = sum(is_back != case.is_bad for is_back, _ in ends)
    seconds = sorted(seconds for _, seconds in ends)[runs // 2]
    print_to(f"{case.name}: {wrong} of {runs} runs end wrong; known after {seconds:.0f} s in the median")
    return wrong, seconds


if __name__ == "__main__":
    sys.exit(main())
