"""The way back under load: a bad release on four emulated sites, seen by clients who count what they lose.

    python benchmarks/rollback.py [--clients 6] [--report FILE]

Four sites get release 1, then a good release 2 through a canary, then a release 3 of whose answers 30 % fail: it goes
back by itself. Last, `arriero rollback 1` brings back what no longer runs. Bars: no request lost in all of it; from the
verdict on, no request reaches a bad target after 5 s (the old ones still run); the whole way back takes at most a third
of a full deployment, which is that of release 1. Exit code 1 if one is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bars import Bar, conclude

ARRIERO = (sys.executable, "-m", "arriero")
PORT = 24434
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm:{tag}
models: [llama2]
rehearse: always
gateway: {{port: {port}}}
deploy: {{strategy: {{canary: [25%, 100%], hold: 5s}}, order: together}}
sites:
  aws-east:   {{cloud: aws,   region: us-east-1}}
  aws-west:   {{cloud: aws,   region: us-west-2}}
  azure-east: {{cloud: azure, region: eastus}}
  azure-eu:   {{cloud: azure, region: westeurope}}
"""


@dataclass
class Clients:
    """Ask all the time; each answer's moment of asking (of the wall clock), target and outcome is kept."""

    count: int
    seen: list[tuple[float, str, str]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    @property
    def lost(self) -> int:
        return sum(outcome != "answered" for _, _, outcome in self.seen)

    async def _all(self) -> None:
        await asyncio.gather(*(self._one(place) for place in range(self.count)))

    async def _one(self, place: int) -> None:
        chance = random.Random(place)
        while not self._over.is_set():
            at = time.time()
            target, outcome = await ask(chance.random())
            self.seen.append((at, target, outcome))
            await asyncio.sleep(0.05)


async def ask(question: float) -> tuple[str, str]:
    """The target that answered, and `answered` or what came in place of a whole answer."""
    body = json.dumps({"model": "llama2", "prompt": f"Tell story {question}", "options": {"num_predict": 8}})
    head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write((head + body).encode())
        answer = (await asyncio.wait_for(reader.read(), 60)).decode()
        writer.close()
    except (OSError, TimeoutError) as error:
        return "", repr(error)
    lines = answer.split("\r\n\r\n")[0].splitlines()
    target = next((line.split(": ")[1] for line in lines if line.lower().startswith("x-arriero-target")), "")
    is_whole = answer.startswith("HTTP/1.1 200") and '"done":true' in answer
    return target, "answered" if is_whole else lines[0] if lines else "nothing"


@dataclass(frozen=True)
class Ended:
    code: int
    seconds: float
    events: list[dict[str, Any]]
    ended_at: float


def arriero(folder: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> Ended:
    start = time.monotonic()
    done = subprocess.run(
        [*ARRIERO, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        sys.exit(
            f"arriero {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"schema": 1, "event"')]
    return Ended(done.returncode, time.monotonic() - start, events, time.time())


def targets(folder: Path) -> set[str]:
    told = subprocess.run([*ARRIERO, "status", "--json"], cwd=folder, capture_output=True, text=True, check=True).stdout
    return {target["id"] for site in json.loads(told)["sites"] for target in site["targets"]}


@contextlib.contextmanager
def project() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="arriero-rollback-") as name:
        folder = Path(name)
        try:
            yield folder
        finally:
            arriero(folder, "down", "--purge", "--yes", codes=(0, 1))
            arriero(folder, "rehearse", "stop", codes=(0, 1))


def release(folder: Path, tag: str, codes: tuple[int, ...] = (0,)) -> Ended:
    (folder / "arriero.yaml").write_text(SPEC.format(tag=tag, port=PORT))
    return arriero(folder, "up", "--yes", "--json", codes=codes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    clients = Clients(asked.clients)
    with project() as folder:
        first = release(folder, "1")
        print(f"release 1 on four sites: {first.seconds:.1f} s", flush=True)
        with clients.asking():
            good = release(folder, "2")
            print(f"release 2, judged good: {good.seconds:.1f} s", flush=True)
            old = targets(folder)
            bad = release(folder, "errors-30", codes=(3,))
            verdict = moment(bad.events, "trial.back")
            back = bad.ended_at - verdict
            late = max((at for at, target, _ in clients.seen if target and target not in old), default=0.0)
            print(f"release 3 went back: by weight at once, by removal in {back:.1f} s", flush=True)
            again = arriero(folder, "rollback", "1", "--yes", "--json")
            print(f"rollback to release 1, which ran no more: {again.seconds:.1f} s", flush=True)
    print(
        f"{len(clients.seen)} requests", *{f"lost: {seen}" for seen in clients.seen if seen[2] != "answered"}, sep="\n"
    )
    full = first.seconds
    bars = [
        Bar("requests lost", clients.lost, "", 0),
        Bar("from the verdict to the last request at a bad target", max(0.0, late - verdict), "s", 5),
        Bar("the way back after a verdict, of a full deployment", back / full, "", 1 / 3),
        Bar("requests asked", len(clients.seen)),
        Bar("a full deployment of four sites", full, "s"),
        Bar("the way back after a verdict, of a new release that is good", back / good.seconds),
        Bar("rollback to a release that runs no more, of a full deployment", again.seconds / full),
    ]
    return conclude(bars, asked.report)


def moment(events: list[dict[str, Any]], kind: str) -> float:
    found = next((event for event in events if event["event"] == kind), None)
    if found is None:
        sys.exit(f"nobody told {kind}: {[event['event'] for event in events][-10:]}")
    return datetime.fromisoformat(found["at"]).timestamp()


if __name__ == "__main__":
    sys.exit(main())
