"""Does the simulator tell the truth? The same requests to a real gateway before built-in engines, and to the simulator.

Two scenes without scaling: one model where lines form, and four models that change places in memory. The bar: the
first token's p50 and p95 within 15 % of each other (or 30 ms: a stage's own noise), and as many loads within a fifth.
Exit code 1 if it is missed. About four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bars import Bar, conclude, table
from proxies import arriero
from routing_load import Arrival, empty_memories, percentile, play
from servers import engines

from arriero.control.messages import TargetEntry
from arriero.scale.spot import Mix
from arriero.simulate import demand, trace
from arriero.simulate.fleet import Cloud
from arriero.simulate.machine import Pace
from arriero.simulate.play import Play, Service
from arriero.simulate.policies import Fixed

_COUNT = re.compile(rb'"eval_count":(\d+)')
WITHIN, NOISE_MS = 0.15, 30.0
FIRST_SECONDS, TOKENS_PER_SECOND, LOAD_SECONDS = 0.2, 60.0, 1.0


@dataclass(frozen=True)
class Scene:
    name: str
    engines: int
    slots: int
    models: tuple[str, ...]
    rate: float

    def arrivals(self, seconds: float) -> list[demand.Arrival]:
        recorded = trace.read("azure-2023-conversation", Path())
        return list(demand.arrivals(recorded, demand.FLAT, self.rate, seconds, 5, len(self.models)))


SCENES = (
    Scene("one model, lines form", 4, 2, ("model1:latest",), 2.2),
    Scene("four models on six servers", 6, 2, tuple(f"model{place}:latest" for place in range(1, 5)), 1.6),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=100.0, help="for each scene")
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    bars = [bar for scene in SCENES for bar in judged(scene, asked.seconds)]
    return conclude(bars, asked.report)


def judged(scene: Scene, seconds: float) -> Iterator[Bar]:
    asked = scene.arrivals(seconds)
    real, said, real_loads = really(scene, asked)
    # The engine ends an answer where it likes: what it said is what the simulator is given.
    given = [each._replace(answer=tokens) for each, tokens in zip(asked, said, strict=True)]
    simulated, loads = in_simulation(scene, given, seconds)
    print(f"{scene.name}: {len(asked)} requests in {seconds:g} s")
    rows = [("really", *figures(real), real_loads), ("simulated", *figures(simulated), loads)]
    table(("", "p50 ms", "p95 ms", "p99 ms", "loads"), rows)
    yield Bar(f"{scene.name}: requests that failed", said.count(0), "", 0)
    for percent in (50, 95):
        one, other = percentile(real, percent), percentile(simulated, percent)
        off = max(0.0, abs(one - other) - NOISE_MS) / one
        yield Bar(f"  first token p{percent}, simulated off by", off, "", WITHIN)
    yield Bar("  loads, simulated off by", abs(loads - real_loads) / max(1, real_loads), "", 0.2)


def figures(first_ms: list[float]) -> tuple[float, float, float]:
    return percentile(first_ms, 50), percentile(first_ms, 95), percentile(first_ms, 99)


def really(scene: Scene, asked: list[demand.Arrival]) -> tuple[list[float], list[int], int]:
    """Milliseconds to first tokens, tokens of each answer (0: it failed), loads."""
    settings = {"OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_NUM_PARALLEL": str(scene.slots)}
    profile = {
        "load_seconds": LOAD_SECONDS,
        "first_token_seconds": FIRST_SECONDS,
        "tokens_per_second": TOKENS_PER_SECOND,
    }
    requests = [
        Arrival(each.at, scene.models[each.model], f"question {place}", max(1, each.answer))
        for place, each in enumerate(asked)
    ]
    with (
        tempfile.TemporaryDirectory(prefix="arriero-simulated-") as name,
        engines(Path(name), scene.engines, scene.models, profile, **settings) as servers,
    ):
        entries = [TargetEntry(each.name, "here", each.address, slots=scene.slots, room=1) for each in servers]
        with arriero(Path(name), entries) as gateway:
            asyncio.run(empty_memories([each.address for each in servers]))
            heard = asyncio.run(play(gateway.port, requests, gateway.headers))
        loads = sum(each.loads() for each in servers)
    good = [each.first_token_ms for each in heard if each.is_whole and each.first_token_ms is not None]
    tokens = [int(found[1]) if (found := _COUNT.search(each.said)) and each.is_whole else 0 for each in heard]
    return good, tokens, loads


def in_simulation(scene: Scene, asked: list[demand.Arrival], seconds: float) -> tuple[list[float], int]:
    service = Service(scene.models, 0.0, LOAD_SECONDS, scene.slots, 1, preloads=False)
    pace = Pace(FIRST_SECONDS, 0.0, TOKENS_PER_SECOND, 0.0, prompt_load=0.0)
    first: list[float] = []
    whole = Play(service, pace, Cloud(1.0, 0.0, 0.0, 0.0), Mix(), Fixed(scene.engines), 1, seconds + 300.0)
    whole.figures.first = lambda passed, _: first.append(passed * 1000.0)  # type: ignore[method-assign]
    whole.run(iter(asked))
    return first, whole.loads


if __name__ == "__main__":
    sys.exit(main())
