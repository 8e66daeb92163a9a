"""Streams under load while servers are killed, frozen and drained, and a whole site goes: what do clients see?

    python benchmarks/faults.py [--short] [--report FILE]

500 streams at 5 tokens a second and 60 at 50 run all the time, in three dialects, on two sites of built-in engines.
An independent client (watcher.py) keeps every byte. Every text is known beforehand, from a server that nothing befell,
so a stream that was carried on wrongly is found out. Bars: no request lost that had no byte, no stream that ends
without a word or with a wrong text, failover after a kill under a second at p99. Exit code 1 if one is missed.
`--short` plays a tenth of the streams in half a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop
from bars import conclude
from fault_report import Tally, bars_of
from fault_script import Fault, Script
from proxies import Proxy, arriero
from servers import Server, engines
from watcher import Answer, Question, ask

from arriero.control.messages import TargetEntry

PATHS = ("/api/chat", "/api/chat", "/api/generate", "/v1/chat/completions", "/api/chat")


@dataclass(frozen=True)
class Pace:
    """One kind of server and of stream; every text has between `shortest` and `longest` tokens."""

    model: str
    tokens_a_second: int
    streams: int
    shortest: int
    longest: int
    servers_a_site: int


@dataclass(frozen=True)
class Scene:
    paces: tuple[Pace, ...]
    faults: tuple[Fault, ...]
    seconds: float
    slots: int


WHOLE = Scene(
    (Pace("slow", 5, 500, 30, 60, 2), Pace("fast", 50, 60, 150, 400, 1)),
    (
        Fault("killed", 12, ("east-slow1",), 4),
        Fault("killed", 22, ("west-fast1",), 4),
        Fault("frozen", 34, ("west-slow1",), 12),
        Fault("drained", 52, ("west-slow2",), 14),
        Fault("site gone", 72, ("east-slow1", "east-slow2", "east-fast1"), 6),
        Fault("killed", 88, ("west-slow2",), 3),
    ),
    96,
    400,
)
SHORT = Scene(
    (Pace("slow", 5, 50, 15, 30, 2), Pace("fast", 50, 6, 100, 200, 1)),
    (
        Fault("killed", 4, ("east-slow1",), 2),
        Fault("drained", 8, ("west-slow2",), 4),
        Fault("site gone", 15, ("east-slow1", "east-slow2", "east-fast1"), 3),
    ),
    20,
    100,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    tally = played(SHORT if asked.short else WHOLE)
    tally.tell()
    return conclude(bars_of(tally), asked.report)


def played(scene: Scene) -> Tally:
    with tempfile.TemporaryDirectory(prefix="arriero-faults-") as name:
        folder = Path(name)
        questions = {pace.model: uvloop.run(known(folder, pace)) for pace in scene.paces}
        with sites(folder, scene) as servers, edge(folder, servers, scene) as proxy:
            script = Script(servers, proxy)
            try:
                return uvloop.run(under_load(scene, script, proxy, questions))
            finally:
                for server in script.servers.values():
                    server.end()


async def known(folder: Path, pace: Pace) -> list[Question]:
    """Questions whose texts are of the wanted length, asked of a server that nothing befalls."""
    home = folder / f"known-{pace.model}"
    home.mkdir()
    quick = {"load_seconds": 0.01, "first_token_seconds": 0.0, "tokens_per_second": 1e6}
    found: list[Question] = []
    with engines(home, 1, [pace.model], quick, OLLAMA_NUM_PARALLEL="4") as (server,):
        host, _, port = server.address.partition(":")
        for number in itertools.count():
            question = Question(PATHS[number % len(PATHS)], pace.model, f"Tell story {number}.", pace.longest)
            answer = await ask(int(port), question, host=host)
            if pace.shortest <= len(answer.records()) and answer.is_whole:
                found.append(replace(question, expected=answer.text()))
            if len(found) >= 40:
                return found
    raise AssertionError


@contextlib.contextmanager
def sites(folder: Path, scene: Scene) -> Iterator[dict[str, Server]]:
    """All servers by name, as `<site>-<model><number>`."""
    with contextlib.ExitStack() as stack:
        found: dict[str, Server] = {}
        for site, pace in itertools.product(("east", "west"), scene.paces):
            home = folder / f"{site}-{pace.model}"
            home.mkdir()
            profile = {
                "load_seconds": 0.3,
                "first_token_seconds": 0.2,
                "tokens_per_second": pace.tokens_a_second,
            }
            settings = {"OLLAMA_NUM_PARALLEL": str(scene.slots), "OLLAMA_KEEP_ALIVE": "-1"}
            started = stack.enter_context(engines(home, pace.servers_a_site, [pace.model], profile, **settings))
            found |= {f"{site}-{pace.model}{place}": server for place, server in enumerate(started, 1)}
        yield found


@contextlib.contextmanager
def edge(folder: Path, servers: dict[str, Server], scene: Scene) -> Iterator[Proxy]:
    entries = [
        TargetEntry(name, name.partition("-")[0], server.address, slots=scene.slots) for name, server in servers.items()
    ]
    with arriero(folder, entries) as proxy:
        yield proxy


async def under_load(scene: Scene, script: Script, proxy: Proxy, questions: dict[str, list[Question]]) -> Tally:
    """Every client asks again as soon as its answer is over, until the time is up; then all end in peace."""
    answers: list[Answer] = []
    until = asyncio.get_running_loop().time() + scene.seconds
    async with asyncio.TaskGroup() as group:
        for pace in scene.paces:
            for place in range(pace.streams):
                chance = random.Random(f"{pace.model} {place}")
                group.create_task(client(proxy, questions[pace.model], chance, until, answers))
        group.create_task(script.play(scene.faults))
    return Tally(answers, script.happened)


async def client(
    proxy: Proxy, questions: Sequence[Question], chance: random.Random, until: float, answers: list[Answer]
) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(chance.random() * 2)
    while loop.time() < until:
        question = replace(chance.choice(questions), seed=chance.randrange(2**31))
        answers.append(await ask(proxy.port, question, proxy.headers))
        if answers[-1].outcome() == "lost":
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
