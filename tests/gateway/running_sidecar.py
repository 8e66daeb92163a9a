"""A whole sidecar in this process, with a scripted server in Ollama's place."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from running_gateway import Client, Reply, free_port, request
from scripted_server import ScriptedServer

from arriero.clock import SystemClock
from arriero.gateway.sidecar.lines import Lines
from arriero.gateway.sidecar.main import serve
from arriero.gateway.sidecar.settings import SidecarSettings


@dataclasses.dataclass
class Beside:
    """A sidecar that serves, and how to talk to it."""

    address: str
    stop: asyncio.Event
    task: asyncio.Task[None]
    events: list[tuple[str, dict[str, Any]]]

    async def connect(self) -> Client:
        host, _, port = self.address.rpartition(":")
        return Client(*await asyncio.open_connection(host, int(port), limit=2**26))

    async def ask(self, method: str, path: str, body: object = None, headers: str = "") -> Reply:
        async with contextlib.aclosing(await self.connect()) as client:
            await client.send(request(method, path, body, headers))
            return await client.reply(method)

    async def follow(self) -> Follower:
        client = await self.connect()
        await client.send(request("GET", "/arriero/state"))
        assert b" 200 " in await client.head()
        return Follower(client)

    async def until_ready(self) -> None:
        async with asyncio.timeout(5):
            while (await self.ask("GET", "/readyz")).status != 200:
                await asyncio.sleep(0.01)


@dataclasses.dataclass
class Follower:
    """One that follows the state, as an edge does; lines that leave `resident` out keep what came before."""

    client: Client
    state: dict[str, Any] = dataclasses.field(default_factory=dict)

    async def line(self) -> dict[str, Any] | None:
        text = await self.client.chunk()
        if not text:
            return None
        self.state |= json.loads(text)
        return self.state

    async def until(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 3.0) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while not (self.state and condition(self.state)):
                assert await self.line() is not None, "the stream of states ended"
        return self.state


@contextlib.asynccontextmanager
async def sidecar(server: ScriptedServer, **values: Any) -> AsyncIterator[Beside]:
    """Serves on a free port until the block ends; it has seen what Ollama has when the block begins."""
    settings = SidecarSettings(listen=f"127.0.0.1:{free_port()}", ollama=server.address, **values)
    stop, events = asyncio.Event(), list[tuple[str, dict[str, Any]]]()

    def heard(text: str) -> None:
        line = json.loads(text)
        if (event := line["event"].removeprefix("sidecar.")) != "request":
            events.append((event, line))

    task = asyncio.create_task(serve(settings, SystemClock(), stop, Lines(SystemClock(), heard)))
    beside = Beside(settings.listen, stop, task, events)
    try:
        async with asyncio.timeout(5):
            while not events and not task.done():
                await asyncio.sleep(0.005)
        yield beside
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)
