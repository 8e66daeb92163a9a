"""Where requests go when models do not all fit: ours beside nginx (least_conn, random), in one run.

    python benchmarks/routing.py [--engine] [--seconds 25] [--rate 5] [--report FILE]

Three real Ollamas that hold one model each (OLLAMA_MAX_LOADED_MODELS=1) and three tiny models of different seeds;
then built-in engines: 50 targets and 40 models, the popular ones becoming the unpopular ones in mid-run. Arrivals are
Poisson, models Zipf-skewed; every proxy gets the same requests at the same moments, and finds all memories empty.
Loads are counted in the servers' own logs; the first token is timed by a client of its own. Exit code 1 if a bar is
missed. `--engine` leaves out the real Ollamas. About five minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bars import Bar, conclude, table
from proxies import Proxy, arriero, nginx, until
from routing_load import Arrival, Heard, arrivals, empty_memories, percentile, play
from servers import Server, engines, ollamas

from arriero.control.messages import TargetEntry

SLOTS = 4


@dataclass(frozen=True)
class Scene:
    """What is played: servers, models, requests a second. The demand turns round at half time if `shifts`."""

    name: str
    models: tuple[str, ...]
    rate: float
    seconds: float
    shifts: bool = False

    @functools.cached_property
    def requests(self) -> list[Arrival]:
        return arrivals(self.models, self.rate, self.seconds, self.shifts, seed=7)


@dataclass(frozen=True)
class Result:
    proxy: str
    requests: int
    failed: int
    loads: int
    p50_ms: float
    p95_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", action="store_true", help="the built-in engine alone")
    parser.add_argument("--small", action="store_true", help="the three servers alone")
    parser.add_argument("--seconds", type=float, default=25.0, help="for each proxy")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second to the real Ollamas")
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    bars: list[Bar] = []
    if not asked.engine:
        models = ("tiny1", "tiny2", "tiny3")
        bars += judged(Scene("3 real Ollamas, 3 models", models, asked.rate, asked.seconds), 3)
    if not asked.small:
        models = tuple(f"model{place:02d}" for place in range(40))
        bars += judged(Scene("50 engines, 40 models, demand shifts", models, 40, 2 * asked.seconds, shifts=True), 50)
    return conclude(bars, asked.report)


def judged(scene: Scene, targets: int) -> list[Bar]:
    with tempfile.TemporaryDirectory(prefix="arriero-routing-") as name:
        folder = Path(name)
        with servers_of(scene, folder, targets) as servers, proxies(folder, servers) as started:
            results = [played(scene, proxy, servers) for proxy in started]
    print(f"{scene.name}: {scene.rate:g} requests a second for {scene.seconds:g} s")
    columns = ("", "requests", "failed", "loads", "first token p50 ms", "p95 ms")
    table(columns, [(r.proxy, r.requests, r.failed, r.loads, r.p50_ms, r.p95_ms) for r in results])
    theirs, ours = results[0], results[-1]
    return [
        Bar(f"{scene.name}: loads", ours.loads, "", len(scene.models) + 2),
        Bar("  requests that failed", ours.failed, "", 0),
        Bar("  first token p50, lower than least_conn by", theirs.p50_ms / ours.p50_ms, "x", 10, is_least=True),
        Bar("  first token p95, lower than least_conn by", theirs.p95_ms / ours.p95_ms, "x", 2, is_least=True),
    ]


@contextlib.contextmanager
def servers_of(scene: Scene, folder: Path, targets: int) -> Iterator[list[Server]]:
    settings = {"OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_NUM_PARALLEL": str(SLOTS)}
    profile = {"load_seconds": 0.3, "first_token_seconds": 0.005, "tokens_per_second": 100}
    real = scene.models[0].startswith("tiny")
    seeds = range(1, len(scene.models) + 1)
    with (
        ollamas(folder, targets, seeds, **settings)
        if real
        else engines(folder, targets, scene.models, profile, **settings)
    ) as servers:
        yield servers


@contextlib.contextmanager
def proxies(folder: Path, servers: list[Server]) -> Iterator[list[Proxy]]:
    """The one that the bars are set against first, ours last."""
    addresses = [server.address for server in servers]
    entries = [TargetEntry(server.name, "here", server.address, slots=SLOTS) for server in servers]
    with (
        nginx(folder, addresses, "least_conn;", "nginx least_conn") as least,
        nginx(folder, addresses, "random;", "nginx random") as random,
        arriero(folder, entries) as ours,
    ):
        yield [least, random, ours]


def played(scene: Scene, proxy: Proxy, servers: list[Server]) -> Result:
    asyncio.run(empty_memories([server.address for server in servers]))
    if (control := proxy.control) is not None:
        # Emptied behind its back, and filled by the proxy before: it learns that with its next look, a second later.
        until(lambda: not any(target.resident for target in control.status().targets), "models stay in memory")
    before = sum(server.loads() for server in servers)
    heard: list[Heard] = asyncio.run(play(proxy.port, scene.requests, proxy.headers))
    loads = sum(server.loads() for server in servers) - before
    good = [one.first_token_ms for one in heard if one.is_whole and one.first_token_ms is not None]
    failed = [one for one in heard if not one.is_whole]
    for one in failed[:3]:
        print(f"{proxy.name}: a request failed: {one.said[:200]!r}", file=sys.stderr)
    return Result(proxy.name, len(heard), len(failed), loads, percentile(good, 50), percentile(good, 95))


if __name__ == "__main__":
    sys.exit(main())
