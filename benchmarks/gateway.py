"""What the gateway costs, beside nginx and HAProxy with the same server behind them, in one run.

    python benchmarks/gateway.py [--rounds 3] [--report FILE]

CPU time of each proxy's own processes, from the kernel, per small request (keep-alive, 16 at a time) and per streamed
chunk (200 streams of 50 tokens a second); what it adds to an answer's first byte; its memory with 1,000 streams open.
The proxies take turns, round by round, and the median of the rounds counts: so what else the machine does hits all of
them. Ours asks for an API key with limits; it stands alone, and as an edge before a sidecar. Exit code 1 if a bar is
missed. About two minutes; needs nginx and haproxy.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop
from bars import Bar, conclude, table
from gateway_load import held_streams, latencies, streams
from proxies import Proxy, arriero, cpu_seconds, free_port, haproxy, nginx, resident_mb, running, sidecar

from arriero.control.messages import TargetEntry

REQUESTS, AT_ONCE, ALONE, STREAMS, STREAM_SECONDS = 6_000, 16, 1_500, 200, 5
HELD, HELD_REQUEST_BYTES, HELD_CHUNKS = 1_000, 16_384, 40


@dataclass
class Cost:
    """What each round measured; in ms, µs and MB."""

    request_us: list[float] = field(default_factory=list)
    chunk_us: list[float] = field(default_factory=list)
    first_byte_ms: list[float] = field(default_factory=list)
    resident_mb: float = 0.0

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.first_byte_ms, n=100)[percent - 1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--report", default="", help="a JSON file for the figures")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arriero-bench-")))
        direct, proxies = stack.enter_context(everything(folder))
        costs = {proxy.name: Cost() for proxy in (direct, *proxies)}
        for proxy in proxies:
            uvloop.run(latencies(proxy, 1_000, AT_ONCE))
        for _ in range(asked.rounds):
            for proxy in (direct, *proxies):
                measure(proxy, costs[proxy.name])
        for proxy in proxies:
            costs[proxy.name].resident_mb = uvloop.run(memory(proxy))
    return report(costs, asked.report)


@contextlib.contextmanager
def everything(folder: Path) -> Iterator[tuple[Proxy, tuple[Proxy, ...]]]:
    """The server behind all of them as if it were a proxy, and the proxies."""
    with contextlib.ExitStack() as stack:
        port = free_port()
        upstream = [sys.executable, str(Path(__file__).parent / "gateway_upstream.py"), str(port)]
        pid = stack.enter_context(running(upstream, port, folder / "upstream.out"))
        address = f"127.0.0.1:{port}"
        target = TargetEntry("one", "here", address, slots=2048)
        beside = stack.enter_context(sidecar(folder, address, slots=2048))
        through = TargetEntry("one", "here", f"127.0.0.1:{beside.port}", slots=2048)
        before = stack.enter_context(arriero(folder, [through], "edge", keys=True))
        proxies = (
            stack.enter_context(nginx(folder, [address])),
            stack.enter_context(haproxy(folder, [address])),
            stack.enter_context(arriero(folder, [target], keys=True)),
            replace(before, name="edge and sidecar", pids=(*before.pids, *beside.pids)),
        )
        yield Proxy("direct", port, (pid,)), proxies


def measure(proxy: Proxy, cost: Cost) -> None:
    cost.first_byte_ms += uvloop.run(latencies(proxy, ALONE, 1))
    if proxy.name == "direct":
        return
    before = cpu_seconds(proxy.pids)
    uvloop.run(latencies(proxy, REQUESTS, AT_ONCE))
    cost.request_us.append((cpu_seconds(proxy.pids) - before) / REQUESTS * 1e6)
    chunks, cpu = uvloop.run(streams(proxy, STREAMS, STREAM_SECONDS))
    cost.chunk_us.append(cpu / chunks * 1e6)


async def memory(proxy: Proxy) -> float:
    async with held_streams(proxy, HELD, HELD_REQUEST_BYTES, HELD_CHUNKS):
        return resident_mb(proxy.pids)


def report(costs: dict[str, Cost], file: str) -> int:
    direct = costs.pop("direct")
    columns = ("", "µs a request", "µs a chunk", "x nginx", "added p50 ms", "added p99 ms", f"MB at {HELD} streams")
    chunk = {name: statistics.median(cost.chunk_us) for name, cost in costs.items()}
    rows = [
        (
            name,
            statistics.median(cost.request_us),
            chunk[name],
            chunk[name] / chunk["nginx"],
            cost.percentile(50) - direct.percentile(50),
            cost.percentile(99) - direct.percentile(99),
            cost.resident_mb,
        )
        for name, cost in costs.items()
    ]
    table(columns, [*rows])
    ours = costs["arriero"]
    bars = [
        Bar("CPU a small request", statistics.median(ours.request_us), "µs", 130),
        Bar("CPU a streamed chunk, times nginx", chunk["arriero"] / chunk["nginx"], "x", 1.4),
        Bar("added to the first byte at the median", ours.percentile(50) - direct.percentile(50), "ms", 1.0),
        Bar("added to the first byte at the 99th percentile", ours.percentile(99) - direct.percentile(99), "ms"),
        Bar(f"memory at {HELD} streams with 16 KB of request and 2 KB of text", ours.resident_mb, "MB", 60),
        Bar("CPU a chunk, edge and sidecar, times nginx", chunk["edge and sidecar"] / chunk["nginx"], "x", 2.5),
    ]
    return conclude(bars, file)


if __name__ == "__main__":
    sys.exit(main())
