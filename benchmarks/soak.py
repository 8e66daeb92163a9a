"""Ten minutes of everything at once: does the gateway keep its memory, its sockets and its tasks?

    python benchmarks/soak.py [--seconds 600] [--report FILE]

Streams, small answers, embeddings and lists; clients that leave in mid-stream, that never read, that speak no HTTP,
that send half a header; models that nobody has; and a target that is killed and started anew every minute. Memory is
sampled each second after a first tenth of warming up; at the end all clients are gone, and what is still open is
counted. Exit code 1 if memory grew, or a task, a socket or a file is left over.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvloop
from bars import Bar, conclude
from proxies import Proxy, arriero, resident_mb
from servers import Server, engines, restart
from watcher import Question, ask

from arriero.control.messages import TargetEntry

PROFILE = {"load_seconds": 0.1, "first_token_seconds": 0.01, "tokens_per_second": 60}
CLIENTS, SLOTS, KILL_EVERY_SECONDS, SETTLE_SECONDS = 40, 32, 60.0, 20.0
GONE, KEPT, _CLOSE_WAIT = "sockets whose other side has gone", "kept connections to targets", "08"


@dataclass
class Seen:
    """Of the gateway's process: MB in memory over time, and what stood open before and after all the traffic."""

    memory: list[float] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)

    def grown_mb(self) -> float:
        """From the second fifth of the time to the last: medians, so that one large request says nothing."""
        fifth = len(self.memory) // 5
        return median(self.memory[-fifth:]) - median(self.memory[fifth : 2 * fifth])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arriero-soak-")))
        models, settings = ("llama2", "mistral", "nomic-embed-text"), {"OLLAMA_NUM_PARALLEL": str(SLOTS)}
        servers = stack.enter_context(engines(folder, 3, models, PROFILE, **settings))
        entries = [TargetEntry(server.name, "here", server.address, slots=SLOTS) for server in servers]
        proxy = stack.enter_context(arriero(folder, entries, keys=True, more={"metrics_sources": ("127.0.0.0/8",)}))
        try:
            seen = uvloop.run(soak(proxy, servers, asked.seconds))
        finally:
            for server in servers:
                server.end()
    return conclude(bars_of(seen), asked.report)


async def soak(proxy: Proxy, servers: list[Server], seconds: float) -> Seen:
    seen, end = Seen(), time.monotonic() + seconds
    ports = {int(server.address.rpartition(":")[2]) for server in servers}
    await once(proxy, random.Random(0), Counter())
    await asyncio.sleep(2)
    seen.before = await asyncio.to_thread(standing, proxy, ports)
    async with asyncio.TaskGroup() as group:
        for place in range(CLIENTS):
            group.create_task(client(proxy, random.Random(place), end, seen.did), name=f"client {place}")
        group.create_task(killer(servers, end, seen.did), name="killer")
        group.create_task(sampler(proxy, end, seen.memory), name="sampler")
    await asyncio.sleep(min(SETTLE_SECONDS, 3 + seconds / 10))
    seen.after = await asyncio.to_thread(standing, proxy, ports)
    return seen


async def client(proxy: Proxy, chance: random.Random, end: float, did: Counter[str]) -> None:
    while time.monotonic() < end:
        await once(proxy, chance, did)


async def once(proxy: Proxy, chance: random.Random, did: Counter[str]) -> None:
    """One of the things that clients do."""
    habits: list[tuple[Callable[[Proxy, random.Random], Awaitable[str]], int]] = [
        (whole_stream, 50), (small_answer, 20), (look, 8), (leave, 8), (never_read, 2), (nonsense, 6), (half_a_head, 2),
        (unknown_model, 4),
    ]  # fmt: skip
    habit = chance.choices([one for one, _ in habits], [share for _, share in habits])[0]
    try:
        did[await habit(proxy, chance)] += 1
    except OSError as error:
        did[f"{habit.__name__}: {type(error).__name__}"] += 1


async def whole_stream(proxy: Proxy, chance: random.Random) -> str:
    path = chance.choice(("/api/chat", "/api/generate", "/v1/chat/completions"))
    text = "Tell a story of the road. " * chance.choice((1, 1, 40, 800))
    question = Question(path, chance.choice(("llama2", "llama2", "mistral")), text, chance.randrange(5, 200))
    return f"stream {(await ask(proxy.port, question, proxy.headers)).outcome()}".replace("wrong", "complete")


async def small_answer(proxy: Proxy, chance: random.Random) -> str:
    question = Question("/api/generate", "llama2", f"number {chance.random()}", 3)
    return f"small {(await ask(proxy.port, question, proxy.headers, stream=False)).status}"


async def unknown_model(proxy: Proxy, chance: random.Random) -> str:
    question = Question("/api/chat", f"nobody{chance.random()}", "hello", 3)
    return f"unknown {(await ask(proxy.port, question, proxy.headers)).status}"


async def look(proxy: Proxy, chance: random.Random) -> str:
    path = chance.choice(("/api/tags", "/api/ps", "/v1/models", "/metrics", "/readyz"))
    return f"look {await raw(proxy, f'GET {path} HTTP/1.1', seconds=10)}"


async def leave(proxy: Proxy, chance: random.Random) -> str:
    await raw(proxy, "POST /api/chat HTTP/1.1", Question("/api/chat", "llama2", "leave", 500), chance.random())
    return "left"


async def never_read(proxy: Proxy, chance: random.Random) -> str:
    question = Question("/api/chat", "llama2", "stare", 300)
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=1024)
    writer.write(head(proxy, "POST /api/chat HTTP/1.1", question))
    await asyncio.sleep(2 + chance.random())
    writer.transport.abort()
    return "never read"


async def nonsense(proxy: Proxy, chance: random.Random) -> str:
    line = chance.choice(("BREW /coffee HTCPCP/1.0", "GET /a b c", "POST /api/chat HTTP/9.9", "\x00\x01\x02"))
    return f"nonsense {await raw(proxy, line, seconds=5)}"


async def half_a_head(proxy: Proxy, chance: random.Random) -> str:
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"POST /api/chat HTTP/1.1\r\nHost: local")
    await asyncio.sleep(chance.random() * 3)
    writer.transport.abort()
    return "half a head"


async def raw(proxy: Proxy, line: str, question: Question | None = None, seconds: float = 5.0) -> str:
    """The status of the answer; a connection that is left after `seconds`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(head(proxy, line, question))
        async with asyncio.timeout(seconds):
            found = await reader.readline()
            while question and await reader.read(65536):
                continue
        return found.partition(b" ")[2][:3].decode("latin-1")
    except TimeoutError:
        return "left"
    finally:
        writer.transport.abort()


def head(proxy: Proxy, line: str, question: Question | None) -> bytes:
    body = question.body(stream=True) if question else b""
    return f"{line}\r\nHost: localhost\r\n{proxy.headers}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body


async def killer(servers: list[Server], end: float, did: Counter[str]) -> None:
    """A target dies and comes back, one after another."""
    for place in range(1_000_000):
        await asyncio.sleep(min(KILL_EVERY_SECONDS, max(1.0, (end - time.monotonic()) / 4)))
        if time.monotonic() > end - 5:
            return
        number = place % len(servers)
        servers[number] = await asyncio.to_thread(restart, servers[number])
        did["target killed"] += 1


async def sampler(proxy: Proxy, end: float, memory: list[float]) -> None:
    while time.monotonic() < end:
        await asyncio.sleep(1)
        memory.append(resident_mb(proxy.pids))


def standing(proxy: Proxy, targets: set[int]) -> dict[str, float]:
    """What is open in the gateway now: files and sockets from the kernel, the rest as it tells itself.

    Connections to the ports `targets` are kept for the next request, a bounded number: they count by themselves.
    """
    open_files = [str(link.readlink()) for pid in proxy.pids for link in Path(f"/proc/{pid}/fd").iterdir()]
    peers = {f"socket:[{row[9]}]": (int(row[2].partition(":")[2], 16), row[3])
             for row in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])}  # fmt: skip
    kinds = Counter(_kind(name, peers, targets) for name in open_files)
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    told = {name: float(line.rpartition(" ")[2]) for name in ("tasks", "requests_open", "connections")
            for line in lines if line.startswith(f"arriero_{name} ")}  # fmt: skip
    return {**kinds, **told}


def _kind(name: str, peers: dict[str, tuple[int, str]], targets: set[int]) -> str:
    if not name.startswith("socket:"):
        return "files"
    port, state = peers.get(name, (0, ""))
    if state == _CLOSE_WAIT:
        return GONE
    return KEPT if port in targets else "sockets"


def bars_of(seen: Seen) -> list[Bar]:
    for what, count in sorted(seen.did.items()):
        print(f"{what:<40} {count:>7}")
    print(f"before {json.dumps(seen.before)}, after {json.dumps(seen.after)}")
    growth = {name: seen.after.get(name, 0) - seen.before.get(name, 0) for name in ("tasks", "sockets", "files")}
    return [
        Bar("requests", sum(seen.did.values())),
        Bar("memory, median of the last fifth", median(seen.memory[-len(seen.memory) // 5 :]), "MB"),
        Bar("memory grown since the second fifth", seen.grown_mb(), "MB", 3),
        Bar("tasks left over", growth["tasks"], "", 0),
        Bar("requests still open", seen.after["requests_open"], "", 0),
        Bar("connections of clients (the question itself is one)", seen.after["connections"], "", 1),
        Bar("sockets left over, but for those kept to targets", growth["sockets"], "", 0),
        Bar("  whose other side has gone", seen.after.get(GONE, 0), "", 0),
        Bar("  kept to targets", seen.after.get(KEPT, 0), "", CLIENTS * 2),
        Bar("files left over", growth["files"], "", 0),
        Bar("streams that ended without a word", seen.did["stream silent"], "", 0),
        Bar("streams without a byte", seen.did["stream lost"], "", 0),
    ]


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    sys.exit(main())
