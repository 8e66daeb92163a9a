"""How fast the simulator is: a week of five requests a second, and ten million requests over a thousand targets.

Seconds are the processor's, so that a busy machine says the same. Memory: the most that was used after a whole week,
against a day. Exit code 1 if a bar is missed. `--small` leaves out the ten million (half an hour).
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import dataclass

from bars import Bar, conclude

from arriero.simulate.compare import play
from arriero.simulate.demand import DAY, FLAT, arrivals
from arriero.simulate.play import Play
from arriero.simulate.policies import Fixed
from arriero.simulate.scenario import Scene, load

RATE, WEEK_SECONDS, GROWTH_MB = 5.0, 300.0, 20.0
MANY, TARGETS = 10_000_000, 1000


@dataclass(frozen=True)
class Took:
    requests: int
    seconds: float
    memory_mb: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the week alone")
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    day, week = (timed(scene_of(days)) for days in (1.0, 7.0))
    bars = [
        Bar("a week: requests", week.requests, "", 2_900_000, is_least=True),
        Bar("  seconds of one core", week.seconds, "s", WEEK_SECONDS),
        Bar("  microseconds a request", week.seconds / week.requests * 1e6, "us"),
        Bar("  memory more than of a day", week.memory_mb - day.memory_mb, "MB", GROWTH_MB),
    ]
    if not asked.small:
        many = over_many_targets()
        bars += [
            Bar("over 1,000 targets: requests", many.requests, "", MANY, is_least=True),
            Bar("  seconds of one core", many.seconds, "s"),
        ]
    return conclude(bars, asked.report)


def scene_of(days: float) -> Scene:
    scene = load("conversation", "", days)
    counts = scene.scenario.counts.model_copy(update={"max": 400})
    asked = {"requests_a_second": RATE, "counts": counts}
    return Scene(scene.scenario.model_copy(update=asked), scene.trace)


def timed(scene: Scene) -> Took:
    start = time.process_time()
    outcome = play(scene, "arriero", 1, False)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Took(outcome.requests, time.process_time() - start, memory)


def over_many_targets() -> Took:
    scene, start = load("conversation"), time.process_time()
    rate = 100.0
    seconds = MANY * 1.01 / rate
    whole = Play(scene.service, scene.pace, scene.cloud, scene.mix(False), Fixed(TARGETS), 1, seconds + DAY / 24)
    found = whole.run(arrivals(scene.trace, FLAT, rate, seconds, 1))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Took(found.first_token.total, time.process_time() - start, memory)


if __name__ == "__main__":
    sys.exit(main())
