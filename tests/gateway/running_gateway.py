"""A whole gateway in this process, with scripted servers behind it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import uvloop
from scripted_server import ScriptedServer

from arriero.clock import SystemClock
from arriero.control.messages import TargetEntry, Targets
from arriero.control.settings import GatewaySettings, Limits
from arriero.gateway.context import Context
from arriero.gateway.process.admin import apply_targets
from arriero.gateway.server import serve
from arriero.gateway.telling.log import Log
from arriero.gateway.wire.upstream import Upstreams
from arriero.secret import Secret

TOKEN = "a-token-of-tests"
FAST = Limits(probe_every_seconds=0.05, probe_within_seconds=0.3, stall_seconds=0.2, drain_seconds=5.0)


def run(story: Coroutine[None, None, None]) -> None:
    """Runs it on the loop that the gateway itself runs on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story)


@dataclasses.dataclass
class Running:
    """A gateway that serves, and how to talk to it."""

    context: Context
    settings: GatewaySettings
    stop: asyncio.Event
    task: asyncio.Task[None]
    log: Path

    async def connect(self, tls: ssl.SSLContext | None = None) -> Client:
        host, _, port = self.settings.listen.rpartition(":")
        return Client(*await asyncio.open_connection(host, int(port), limit=2**26, ssl=tls))

    async def ask(self, method: str, path: str, body: object = None, headers: str = "") -> Reply:
        async with contextlib.aclosing(await self.connect()) as client:
            await client.send(request(method, path, body, headers))
            return await client.reply(method)

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Waits until `condition()` holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    def records(self) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["event"] == "request"]


@dataclasses.dataclass
class Reply:
    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name.lower().encode():
                return value.strip().decode()
        return None

    def json(self) -> object:
        return json.loads(self.body)


class Client:
    """A plain client that sees every byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> bytes:
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10))[:-4]

    async def chunk(self) -> bytes:
        """The next chunk's content; empty for the last one."""
        size = int(await asyncio.wait_for(self.reader.readline(), 10), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def reply(self, method: str = "GET") -> Reply:
        head = await self.head()
        reply = Reply(int(head.split(b" ")[1]), head, b"")
        if method == "HEAD" or reply.status == 204:
            return reply
        if reply.header("transfer-encoding") == "chunked":
            pieces = []
            while piece := await self.chunk():
                pieces.append(piece)
            reply.body = b"".join(pieces)
        elif (length := reply.header("content-length")) is not None:
            reply.body = await asyncio.wait_for(self.reader.readexactly(int(length)), 10)
        else:
            reply.body = await asyncio.wait_for(self.reader.read(), 10)
        return reply

    async def rest(self) -> bytes:
        """Everything until the gateway ends the connection; what a reset cut off is left out."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := await asyncio.wait_for(self.reader.read(65536), 10):
                data += piece
        return data

    async def aclose(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def request(method: str, path: str, body: object = None, headers: str = "") -> bytes:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    length = f"Content-Length: {len(data)}\r\n" if body is not None else ""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n".encode() + data


def entry(server: ScriptedServer, name: str, **values: object) -> TargetEntry:
    return TargetEntry(**{"id": name, "site": f"site-{name}", "address": server.address, **values})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def gateway(
    folder: Path, *entries: TargetEntry, limits: Limits = FAST, origins: tuple[str, ...] = (), **more: object
) -> AsyncIterator[Running]:
    """Serves on free ports until the block ends; every target given has been probed when it begins. `more` settings."""
    log = folder / "access.log"
    listen, control = (f"127.0.0.1:{free_port()}" for _ in range(2))
    settings = GatewaySettings(
        "llm", listen, control, "unused", str(folder / "targets.json"), str(log), origins, limits
    )
    settings = dataclasses.replace(settings, **more)  # type: ignore[arg-type]
    context = Context(settings, SystemClock(), Log(settings.access_log), Upstreams(limits.connect_seconds))
    apply_targets(context, Targets(entries))
    started, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(serve(context, Secret(TOKEN), stop, started.set))
    running = Running(context, settings, stop, task, log)
    try:
        starting = asyncio.ensure_future(started.wait())
        await asyncio.wait((task, starting), timeout=5, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            await task
        if entries:
            # A gateway before this one in the same folder may have left other ones.
            apply_targets(context, Targets(entries))
        await running.until(lambda: all(target.state != "new" for target in context.pool))
        yield running
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)
        context.log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
