"""The gateway as processes of its own, and what tests do with them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from running_gateway import TOKEN, Client, Reply, request

from arriero.clock import SystemClock
from arriero.control.client import Gateway, GatewayError
from arriero.control.messages import GatewayStatus, TargetEntry, Targets
from arriero.control.settings import GatewaySettings, Limits
from arriero.deploy.family import kill_marked
from arriero.secret import Secret

QUICK = Limits(probe_every_seconds=0.2, probe_within_seconds=1.0, drain_seconds=20.0)


@dataclass
class Program:
    """A gateway that runs beside the test."""

    settings: GatewaySettings
    config: Path
    process: subprocess.Popen[bytes]

    @property
    def control(self) -> Gateway:
        return Gateway(f"http://{self.settings.control}", Secret(TOKEN))

    async def status(self) -> GatewayStatus:
        return await asyncio.to_thread(self.control.status)

    async def until(self, condition: Callable[[GatewayStatus], bool], seconds: float = 15.0) -> GatewayStatus:
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(GatewayError):
                    status = await self.status()
                    if condition(status):
                        return status
                await asyncio.sleep(0.02)

    async def connect(self) -> Client:
        host, _, port = self.settings.listen.rpartition(":")
        return Client(*await asyncio.open_connection(host, int(port)))

    async def ask(self, method: str, path: str, body: object = None, headers: str = "") -> Reply:
        async with contextlib.aclosing(await self.connect()) as client:
            await client.send(request(method, path, body, headers))
            return await client.reply(method)

    async def every_worker(self) -> None:
        """Until each knows a target: one tells the state, and any may get a connection."""
        in_a_row = 0
        async with asyncio.timeout(15):
            while in_a_row < 40:
                is_ready = (await self.ask("GET", "/readyz")).status == 200
                in_a_row = in_a_row + 1 if is_ready else 0

    async def figure(self, name: str) -> float:
        """The sum of a family's samples, as /metrics tells them."""
        lines = (await self.ask("GET", "/metrics")).body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + " ", name + "{")))

    async def told(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of this kind, once there is one."""
        async with asyncio.timeout(10):
            while not (found := self.events(name)):
                await asyncio.sleep(0.02)
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = map(json.loads, Path(self.settings.access_log).read_text().splitlines())
        return [line for line in lines if line["event"] == name]


def write_settings(folder: Path, **values: object) -> tuple[GatewaySettings, Path]:
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    # An address of its own: between a look for a free port and its use nobody else can take it.
    host = ".".join(["127", *(str(secrets.randbelow(200) + 30) for _ in range(3))])
    listen, control = f"{host}:11434", f"{host}:11435"
    known = {"limits": QUICK, "access_log": str(folder / "access.log"), "targets_file": str(folder / "targets.json")}
    settings = GatewaySettings("llm", listen, control, str(token), **{**known, **values})  # type: ignore[arg-type]
    settings.write(folder / "gateway.json")
    return settings, folder / "gateway.json"


@contextlib.asynccontextmanager
async def program(folder: Path, *entries: TargetEntry, **values: object) -> AsyncIterator[Program]:
    """Serves these targets until the block ends, its successors too."""
    settings, config = write_settings(folder, **values)
    process = subprocess.Popen([sys.executable, "-m", "arriero.gateway", str(config)])
    running = Program(settings, config, process)
    try:
        await running.until(lambda _: process.poll() is None)
        await asyncio.to_thread(running.control.set_targets, Targets(entries))
        await running.until(lambda status: all(target.state == "up" for target in status.targets))
        if entries and settings.workers > 1:
            await running.every_worker()
        yield running
    finally:
        await asyncio.to_thread(_end, running)


def _end(running: Program) -> None:
    with contextlib.suppress(GatewayError):
        last = running.control.status().pid
        if last != running.process.pid:
            os.kill(last, signal.SIGTERM)
            clock = SystemClock()
            while Path(f"/proc/{last}").exists() and not _is_zombie(last):
                clock.sleep(0.02)
    if running.process.poll() is None:
        running.process.terminate()
    try:
        running.process.wait(30)
    finally:
        # Whatever a failed test left: no other command line holds this file's name.
        kill_marked(str(running.config))


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True
