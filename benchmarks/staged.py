"""Does the simulator tell what the stage shows? Ten minutes of a recorded hour to a service that the controller scales.

    python benchmarks/staged.py [--seconds 600] [--report FILE]

Really: `arriero up` on the stage, ECS tasks with the built-in engine, the gateway and `arriero controller`. Simulated:
the same requests with the answers' real lengths, the controller's own eyes and decisions, and starts that take as long
as they took on the stage (their mean, from the decision on). A lull, a rush, a lull. Bars: the first token's p50 and
p95 within 15 % of each other (or 30 ms: a stage's own noise); as many steps out, and as many in, within one; the most
targets within one.
Exit code 1 if one is missed. About a quarter of an hour; nothing is compressed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from bars import Bar, conclude, table
from routing_load import Arrival, Heard, percentile, play

from arriero.deploy import edge
from arriero.deploy.project import Project
from arriero.errors import ArrieroError
from arriero.scale.autoscale import Policy
from arriero.scale.spot import Mix
from arriero.simulate import demand, trace
from arriero.simulate.controlled import Controlled
from arriero.simulate.fleet import Cloud
from arriero.simulate.machine import Pace
from arriero.simulate.play import Play, Service

ARRIERO = (sys.executable, "-m", "arriero")
MODEL, LEAST, MOST, SLOTS, HOLD, UTILISATION = "llama2:latest", 1, 5, 2, 60, 0.75
FIRST_SECONDS, TOKENS_PER_SECOND = 0.3, 12.0
# Requests a second, by thirds of the time.
RATES = (0.3, 1.6, 0.3)
WITHIN, NOISE_MS, STEPS_OFF = 0.15, 30.0, 1
# Who goes in goes in the minutes after the last request, too.
AFTER_SECONDS = 150.0
SPEC = f"""\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
ollama: {{num_parallel: {SLOTS}}}
scale: {{min: {LEAST}, max: {MOST}, hold: {HOLD}s, utilisation: {UTILISATION:.0%}}}
sites:
  aws-east: {{cloud: aws, region: us-east-1}}
"""
_COUNT = re.compile(rb'"eval_count":(\d+)')


@dataclass
class Really:
    """What the stage showed: first tokens in milliseconds, answers in tokens (0: failed), counts that were decided and
    how long starts took, in seconds.
    """

    first_ms: list[float]
    tokens: list[int]
    steps: list[int]
    starts: list[float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    requests = list(arrivals(asked.seconds))
    real = on_the_stage(requests, asked.seconds)
    given = [each._replace(answer=tokens) for each, tokens in zip(requests, real.tokens, strict=True)]
    first_ms, steps = in_simulation(given, asked.seconds, fmean(real.starts) if real.starts else 5.0)
    print(
        f"{len(requests)} requests in {asked.seconds:g} s; a start took {fmean(real.starts or [0.0]):.1f} s in the mean"
    )
    rows = [("really", *figures(real.first_ms), told(real.steps)), ("simulated", *figures(first_ms), told(steps))]
    table(("", "p50 ms", "p95 ms", "p99 ms", "targets"), rows)
    return conclude(list(judged(real, first_ms, steps)), asked.report)


def arrivals(seconds: float) -> Iterator[demand.Arrival]:
    """The recorded conversation from its tenth minute on, thinned to `RATES`."""
    recorded, chance = trace.read("azure-2023-conversation", Path()), random.Random(7)
    for at, prompt, answer in zip(recorded.at, recorded.prompt, recorded.answer, strict=True):
        passed = at - 600.0
        if 0.0 <= passed < seconds:
            rate = RATES[int(passed / seconds * len(RATES))]
            if chance.random() < rate / recorded.rate:
                yield demand.Arrival(passed, prompt, max(1, answer))


def judged(real: Really, first_ms: Sequence[float], steps: Sequence[int]) -> Iterator[Bar]:
    yield Bar("requests that failed", real.tokens.count(0), "", 0)
    for percent in (50, 95):
        one, other = percentile(real.first_ms, percent), percentile(first_ms, percent)
        yield Bar(f"first token p{percent}, simulated off by", max(0.0, abs(one - other) - NOISE_MS) / one, "", WITHIN)
    for what, sign in (("out", 1), ("in", -1)):
        yield Bar(f"steps {what}, simulated off by", abs(turns(real.steps, sign) - turns(steps, sign)), "", STEPS_OFF)
    yield Bar("the most targets, simulated off by", abs(max(real.steps) - max(steps)), "", STEPS_OFF)


def turns(counts: Sequence[int], sign: int) -> int:
    return sum((after - before) * sign > 0 for before, after in pairwise(counts))


def told(counts: Sequence[int]) -> str:
    return " ".join(map(str, counts))


def figures(first_ms: list[float]) -> tuple[float, float, float]:
    return percentile(first_ms, 50), percentile(first_ms, 95), percentile(first_ms, 99)


# On the stage


def on_the_stage(requests: Sequence[demand.Arrival], seconds: float) -> Really:
    profile = {"first_token_seconds": FIRST_SECONDS, "tokens_per_second": TOKENS_PER_SECOND, "load_seconds": 0.1}
    environment = {**os.environ, "ARRIERO_ENGINE_PROFILE": json.dumps(profile)}
    with tempfile.TemporaryDirectory(prefix="arriero-staged-") as name:
        folder = Path(name)
        (folder / "arriero.yaml").write_text(SPEC)
        try:
            run(folder, environment, "up", "--yes")
            found = edge.find(Project(folder / "arriero.yaml"))
            if found is None:
                raise SystemExit("no gateway runs after arriero up")
            watch = Watch(folder, found)
            with watch:
                asked = [Arrival(each.at, MODEL, "word " * each.prompt, each.answer) for each in requests]
                heard = asyncio.run(play(int(found.url.rpartition(":")[2]), asked, ""))
                time.sleep(max(0.0, watch.began + seconds + AFTER_SECONDS - time.monotonic()))
            return Really(*answers(heard), watch.steps(), watch.starts())
        finally:
            run(folder, environment, "down", "--purge", "--yes")
            run(folder, environment, "rehearse", "stop")


def run(folder: Path, environment: dict[str, str], *words: str) -> None:
    ended = subprocess.run([*ARRIERO, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        print(f"arriero {' '.join(words)}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}", file=sys.stderr)


def answers(heard: Sequence[Heard]) -> tuple[list[float], list[int]]:
    good = [each.first_token_ms for each in heard if each.is_whole and each.first_token_ms is not None]
    tokens = [int(found[1]) if (found := _COUNT.search(each.said)) and each.is_whole else 0 for each in heard]
    return good, tokens


@dataclass
class Watch:
    """Looks at the gateway's targets twice a second, and reads the controller's log at the end."""

    folder: Path
    edge: edge.Edge
    began: float = 0.0
    _seen: list[tuple[float, int]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self.began = time.monotonic()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        gateway = self.edge.client()
        while not self._over.wait(0.5):
            try:
                up = sum(target.state == "up" for target in gateway.status().targets)
            except ArrieroError:
                continue
            if not self._seen or self._seen[-1][1] != up:
                self._seen.append((time.time(), up))

    def steps(self) -> list[int]:
        """The counts that were decided one after another, the first included."""
        found = [LEAST]
        for event in self._events():
            if event["event"] == "scale.decided":
                wanted = sum(site["wanted"] for site in event["sites"])
                if wanted != found[-1]:
                    found.append(wanted)
        return found

    def starts(self) -> list[float]:
        """From each decision to start more until so many answer."""
        found, at = [], 0.0
        for event in self._events():
            if event["event"] == "scale.decided":
                at = datetime.fromisoformat(str(event["at"])).timestamp()
            if event["event"] == "scale.out":
                ready = next((seen for seen, up in self._seen if seen >= at and up >= event["count"]), None)
                if ready is not None:
                    found.append(ready - at)
        return found

    def _events(self) -> list[dict[str, Any]]:
        lines = (self.folder / ".arriero/edge/controller.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


# In the simulator


def in_simulation(
    requests: Sequence[demand.Arrival], seconds: float, start_seconds: float
) -> tuple[list[float], list[int]]:
    service = Service((MODEL,), 0.0, 0.1, SLOTS, 1)
    pace = Pace(FIRST_SECONDS, 0.0, TOKENS_PER_SECOND, 0.0, prompt_load=0.0)
    policy = Policy(min=LEAST, max=MOST, utilisation=UTILISATION, hold_seconds=HOLD)
    scaling, first = Controlled(policy, SLOTS), []
    cloud = Cloud(start_seconds, 0.0, 0.0, 0.0)
    whole = Play(service, pace, cloud, Mix(), scaling, 1, seconds + AFTER_SECONDS)
    whole.figures.first = lambda passed, _: first.append(passed * 1000.0)  # type: ignore[method-assign]
    whole.run(iter([each for each in requests if each.answer]))
    return first, [LEAST, *(count for _, count in scaling.steps)]


if __name__ == "__main__":
    sys.exit(main())
