"""What the web page costs: 200 targets, 10 viewers, a second's updates; and what it does to streams (nothing).

    python benchmarks/ui.py                # both parts, as a table
    python benchmarks/ui.py --part load --seconds 60

`load`: `arriero ui` before a stand-in of a gateway's control port with 200 targets, and ten viewers that speak what a
browser does and are told everything each second. Printed: the page's share of one core, and what each viewer was told.
`streams`: a gateway of its own with simulated servers and a steady load of streams; the delay between chunks without
the page, with it and ten viewers, and while it is killed and started again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import socketio
from bars import Bar, conclude

TICKS = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).parent
PORT, GATEWAY_PORT = 25761, 25762
LAPTOP = f"""\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {{min: 2, max: 2}}
gateway: {{port: {GATEWAY_PORT}}}
sites:
  office: {{cloud: local, hosts: [127.0.0.1]}}
"""
STREAMS, TOKENS, ROUNDS = 20, 200, 3
PHASES = ("without", "with_ten_viewers", "killed_meanwhile")


@contextlib.contextmanager
def page(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "arriero", "ui", "--port", str(PORT)]
    with (folder / "ui.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=1).read()
                break
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


class Viewer:
    """One browser's socket: takes what it is told, and says so, as the page's own program does."""

    def __init__(self) -> None:
        self.updates, self.size = 0, 0
        self._socket = socketio.AsyncClient(reconnection=False)
        self._socket.on("update", self._update)

    async def open(self) -> None:
        url = f"http://127.0.0.1:{PORT}"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=60).read().decode())
        found = re.search(r"client_id['\"]:\s*['\"]([^'\"]+)", text)
        assert found, "the page names no client"
        ids = (
            f"client_id={found[1]}&next_message_id=0&implicit_handshake=true&tab_id={id(self)}&document_id=d{id(self)}"
        )
        address = f"{url}/?{ids}"
        await self._socket.connect(
            address, headers={"Origin": url}, transports=["websocket"], socketio_path="/_nicegui_ws/socket.io"
        )

    async def close(self) -> None:
        await self._socket.disconnect()

    def _update(self, told: dict[str, object]) -> None:
        self.updates += 1
        self.size += len(json.dumps(told))


def cpu_seconds(pid: int) -> float:
    """Of this process alone: the verbs that it asks are others, and ask the clouds once in a while."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


async def load(targets: int, count: int, seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, str(HERE / "stand_in_gateway.py"), name, "--targets", str(targets)]
        stand_in = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert stand_in.stdout is not None
        stand_in.stdout.readline()
        try:
            with page(folder) as process:
                alone = await _share(process.pid, seconds / 3)
                viewers = [Viewer() for _ in range(count)]
                for viewer in viewers:
                    await viewer.open()
                await asyncio.sleep(10)  # the first sections come in
                before = sum(viewer.updates for viewer in viewers)
                share = await _share(process.pid, seconds)
                told = (sum(viewer.updates for viewer in viewers) - before) / count / seconds
                size = sum(viewer.size for viewer in viewers) / max(1, sum(viewer.updates for viewer in viewers))
                found = {"targets": targets, "viewers": count, "share_of_one_core": round(share, 4),
                         "share_without_viewers": round(alone, 4), "updates_a_second": round(told, 2),
                         "bytes_an_update": round(size), "memory_mb": round(memory_mb(process.pid), 1)}  # fmt: skip
                for viewer in viewers:
                    await viewer.close()
                return found
        finally:
            stand_in.kill()
            stand_in.wait()
            _verb(folder, "rehearse", "stop")


async def _share(pid: int, seconds: float) -> float:
    before, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)


async def stream(gaps: list[float]) -> bool:
    """One answer; the seconds between its chunks. False where it did not come to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", GATEWAY_PORT)
    body = json.dumps({"model": "llama2", "prompt": f"{os.urandom(4).hex()}", "options": {"num_predict": TOKENS}})
    head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + body.encode())
    last, tail = 0.0, b""
    while data := await reader.read(65536):
        now = time.monotonic()
        if last:
            gaps.append(now - last)
        last, tail = now, (tail + data)[-4096:]
    writer.close()
    return b'"done":true' in tail


async def streams(seconds: float) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "arriero.yaml").write_text(LAPTOP)
        _verb(folder, "up", "--yes")
        try:
            await asyncio.gather(*(_streaming(time.monotonic() + 5, [], []) for _ in range(STREAMS)))
            seen = {phase: Seen() for phase in PHASES}
            # By turns, so that what else the machine does falls on all of them.
            for _ in range(ROUNDS):
                await _phase(seen["without"], seconds / ROUNDS)
                with page(folder), viewers_beside():
                    await _phase(seen["with_ten_viewers"], seconds / ROUNDS)
                # In a thread: it waits for the page's start, and the loop has to read streams meanwhile.
                killing = asyncio.create_task(asyncio.to_thread(_kill_again_and_again, folder, seconds / ROUNDS))
                await _phase(seen["killed_meanwhile"], seconds / ROUNDS)
                await killing
            return {phase: each.told() for phase, each in seen.items()}
        finally:
            _verb(folder, "down", "--purge", "--yes")
            _verb(folder, "rehearse", "stop")


@dataclass
class Seen:
    """The seconds between chunks in a phase, and which streams came to their end."""

    gaps: list[float] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)

    def told(self) -> dict[str, float]:
        cuts = statistics.quantiles(self.gaps, n=100)
        return {"streams": len(self.ends), "cut": self.ends.count(False), "chunks": len(self.gaps),
                "p50_ms": round(cuts[49] * 1000, 2), "p99_ms": round(cuts[98] * 1000, 2)}  # fmt: skip


async def _phase(seen: Seen, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    await asyncio.gather(*(_streaming(deadline, seen.gaps, seen.ends) for _ in range(STREAMS)))


@contextlib.contextmanager
def viewers_beside() -> Iterator[None]:
    """Ten viewers in a process of their own: what they do must not be measured as a stream's delay."""
    command = [sys.executable, __file__, "--part", "viewers"]
    beside = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert beside.stdout is not None
    beside.stdout.readline()
    try:
        yield
    finally:
        beside.kill()
        beside.wait()


async def _be_viewers(count: int) -> None:
    for viewer in [Viewer() for _ in range(count)]:
        await viewer.open()
    print("ready", flush=True)
    await asyncio.Event().wait()


async def _streaming(deadline: float, gaps: list[float], ends: list[bool]) -> None:
    while time.monotonic() < deadline:
        ends.append(await stream(gaps))


def _kill_again_and_again(folder: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with page(folder) as process:
            time.sleep(2)
            process.send_signal(signal.SIGKILL)


def _verb(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "arriero", *words], cwd=folder, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("load", "streams", "viewers"), help="`viewers` is what `streams` begins.")
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--report", default="", help="A file for the figures, as JSON.")
    asked = parser.parse_args()
    if asked.part == "viewers":
        asyncio.run(_be_viewers(asked.viewers))
    bars: list[Bar] = []
    if asked.part != "streams":
        bars += _load_bars(asyncio.run(load(asked.targets, asked.viewers, asked.seconds)))
    if asked.part != "load":
        bars += _stream_bars(asyncio.run(streams(asked.seconds)))
    sys.exit(conclude(bars, asked.report))


def _load_bars(found: dict[str, float]) -> list[Bar]:
    what = f"{found['targets']:.0f} targets, {found['viewers']:.0f} viewers"
    return [
        Bar(f"{what}: of one core", found["share_of_one_core"], "", 0.15),
        Bar("the same without a viewer", found["share_without_viewers"]),
        Bar("what each viewer is told a second", found["updates_a_second"], "", 0.9, is_least=True),
        Bar("of so many bytes", found["bytes_an_update"]),
        Bar("memory", found["memory_mb"], "MB"),
    ]


def _stream_bars(found: dict[str, dict[str, float]]) -> list[Bar]:
    alone = found["without"]["p99_ms"]
    told = {
        "without": "without a page",
        "with_ten_viewers": "with ten viewers",
        "killed_meanwhile": "page killed again and again",
    }
    bars = []
    for phase, what in told.items():
        each = found[phase]
        bars += [
            Bar(f"{what}: streams cut of {each['streams']:.0f}", each["cut"], "", 0),
            Bar(f"{what}: between chunks, p50", each["p50_ms"], "ms"),
            Bar(f"{what}: between chunks, p99", each["p99_ms"], "ms"),
        ]
    # A page is another process: what it takes of these cores is all that a stream can notice.
    ratios = [(what, found[phase]["p99_ms"] / alone) for phase, what in told.items() if phase != "without"]
    return [*bars, *(Bar(f"{what}: p99 by that without", ratio, "", 1.25) for what, ratio in ratios)]


if __name__ == "__main__":
    main()
