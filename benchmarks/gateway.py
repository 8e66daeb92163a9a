"""What the gateway costs, beside nginx with the same upstream in the same run: `python benchmarks/gateway.py`.

CPU time of the proxy's own process, from the kernel, per small request (keep-alive, 16 at a time) and per streamed
chunk (200 streams of 50 tokens a second); the time added to an answer's first byte; memory. Takes under a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from arriero.control.client import Gateway, GatewayError
from arriero.control.messages import TargetEntry, Targets
from arriero.control.settings import GatewaySettings
from arriero.secret import Secret

REQUESTS, AT_ONCE, STREAMS, STREAM_SECONDS = 12_000, 16, 200, 6
TOKEN = "a-token-for-benchmarks"
BARS = {"request_us": 130.0, "chunk_ratio": 1.4}


@dataclass(frozen=True)
class Proxy:
    name: str
    port: int
    pid: int


@dataclass(frozen=True)
class Cost:
    request_us: float
    chunk_us: float
    p50_ms: float
    p99_ms: float
    resident_mb: float


def main() -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = free_port()
        here = Path(__file__).parent
        stack.enter_context(running([sys.executable, str(here / "gateway_upstream.py"), str(upstream)], upstream))
        direct = uvloop.run(latencies(upstream, REQUESTS // 4, 1))
        print(f"direct: p50 {percentile(direct, 50):.2f} ms, p99 {percentile(direct, 99):.2f} ms")
        costs = {}
        for start in (nginx, arriero):
            proxy = stack.enter_context(start(folder, upstream))
            if proxy is not None:
                costs[proxy.name] = measure(proxy)
                print(f"{proxy.name}: {costs[proxy.name]}")
        report(costs, percentile(direct, 50))


def measure(proxy: Proxy) -> Cost:
    uvloop.run(latencies(proxy.port, 1000, AT_ONCE))
    before = cpu_seconds(proxy.pid)
    uvloop.run(latencies(proxy.port, REQUESTS, AT_ONCE))
    request_us = (cpu_seconds(proxy.pid) - before) / REQUESTS * 1e6
    alone = uvloop.run(latencies(proxy.port, REQUESTS // 4, 1))
    before = cpu_seconds(proxy.pid)
    chunks = uvloop.run(streams(proxy.port))
    chunk_us = (cpu_seconds(proxy.pid) - before) / chunks * 1e6
    return Cost(request_us, chunk_us, percentile(alone, 50), percentile(alone, 99), resident_mb(proxy.pid))


def report(costs: dict[str, Cost], direct_ms: float) -> None:
    ours, theirs = costs["arriero"], costs.get("nginx")
    print(
        f"CPU a request {ours.request_us:.0f} µs (bar {BARS['request_us']:.0f}), "
        f"added p50 {ours.p50_ms - direct_ms:.2f} ms"
    )
    if theirs:
        ratio = ours.chunk_us / theirs.chunk_us
        print(
            f"CPU a chunk {ours.chunk_us:.1f} µs, nginx {theirs.chunk_us:.1f}: "
            f"ratio {ratio:.2f} (bar {BARS['chunk_ratio']})"
        )


async def latencies(port: int, count: int, at_once: int) -> list[float]:
    """Milliseconds of `count` small requests, `at_once` at a time on connections that are kept."""
    body = json.dumps({"model": "llama2", "prompt": "yes or no?", "stream": False}).encode()
    request = (
        b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nUser-Agent: benchmark\r\n"
        b"Accept: */*\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    taken: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(count // at_once):
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            taken.append((time.perf_counter() - started) * 1000)
        writer.close()

    await asyncio.gather(*(one() for _ in range(at_once)))
    return taken


class Counting(asyncio.Protocol):
    """Counts the tokens of one stream; cheap, since it shares two cores with what is measured."""

    def __init__(self, request: bytes) -> None:
        self.request, self.lines, self.ended = request, 0, asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.lines += data.count(b'"done":')
        if data.endswith(b"0\r\n\r\n") and not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(RuntimeError(f"a stream was cut: {error}"))


async def streams(port: int) -> int:
    """The number of chunks that came through 200 streams side by side."""
    body = b'{"model":"llama2","messages":[],"num_predict":%d}' % (STREAM_SECONDS * 50)
    request = b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    loop, clients = asyncio.get_running_loop(), []
    for _ in range(STREAMS):
        _, client = await loop.create_connection(lambda: Counting(request), "127.0.0.1", port)
        clients.append(client)
        await asyncio.sleep(0.002)
    await asyncio.gather(*(client.ended for client in clients))
    for client in clients:
        client.transport.close()
    assert all(client.lines == STREAM_SECONDS * 50 + 1 for client in clients)
    return sum(client.lines for client in clients)


@contextlib.contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[Proxy | None]:
    program, port = shutil.which("nginx"), free_port()
    if program is None:
        print("nginx is not on PATH: measuring ours alone")
        yield None
        return
    (folder / "nginx.conf").write_text(
        f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 4096; }}\n"
        f"http {{ access_log {folder}/nginx.log combined buffer=64k; keepalive_requests 1000000;\n"
        f"  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n"
        f"  uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
        f"  upstream o {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000; }}\n"
        f"  server {{ listen 127.0.0.1:{port} backlog=2048;\n"
        f"    location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection '';\n"
        f"      proxy_buffering off; }} }} }}\n"
    )
    with running([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], port) as master:
        workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        yield Proxy("nginx", port, int(workers[0]))


@contextlib.contextmanager
def arriero(folder: Path, upstream: int) -> Iterator[Proxy]:
    port, control, token = free_port(), free_port(), folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    log = str(folder / "access.log")
    settings = GatewaySettings("bench", f"127.0.0.1:{port}", f"127.0.0.1:{control}", str(token), access_log=log)
    settings.write(folder / "gateway.json")
    with running([sys.executable, "-m", "arriero.gateway", str(folder / "gateway.json")], port) as pid:
        gateway = Gateway(f"http://127.0.0.1:{control}", Secret(TOKEN))
        gateway.set_targets(Targets((TargetEntry("one", "here", f"127.0.0.1:{upstream}", slots=512),)))
        deadline = time.monotonic() + 5
        while not any(target.state == "up" for target in gateway.status().targets):
            if time.monotonic() > deadline:
                raise GatewayError(())
            time.sleep(0.01)
        yield Proxy("arriero", port, pid)


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """The process's id, once it listens; it ends with the block."""
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not listen on {port}")
            time.sleep(0.01)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Time on a CPU of all its threads, in user and kernel mode."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def resident_mb(pid: int) -> float:
    line = next(text for text in Path(f"/proc/{pid}/status").read_text().splitlines() if text.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
