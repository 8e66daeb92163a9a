"""What the emulated ingresses have in common: a listener that passes requests on, byte by byte, within time limits.

Who runs: one event loop, in a thread of its own (`Loop`); a task a client's connection, and one that passes the
client's bytes on. A connection carries one request: the answer says `Connection: close`. Time limits are those of a
given clock, looked at twenty times a second; nothing else waits by time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from arriero.clock import Clock
from arriero.rehearse.low_ports import WITHOUT_RIGHTS, opened

LOOK_SECONDS = 0.05
_CONNECT_SECONDS = 5.0
_HEAD_BYTES, _PIECE_BYTES = 64 * 1024, 64 * 1024
_OF_ONE_HOP = ("connection", "keep-alive", "proxy-connection", "upgrade")
_REASONS = {301: "Moved Permanently", 400: "Bad Request", 403: "Forbidden", 502: "Bad Gateway"}
_REASONS |= {503: "Service Unavailable", 504: "Gateway Time-out"}


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body; `peer` is the client's address."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    peer: str

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass(frozen=True, slots=True)
class Said:
    """An answer of the ingress itself."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Way:
    """Where a request goes: the server's address, and what is set among its headers. `within` ends when it is over.
    Where nobody can be connected to there, the `others` are tried in their order.

    A client's headers that begin with `withheld` are left out. With `tls` the server is spoken to in https, and is
    expected to be called `name`. It is asked from the address `source`, if any.
    """

    host: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)
    within: contextlib.AbstractContextManager[object] = field(default_factory=contextlib.nullcontext)
    withheld: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    name: str = ""
    source: str = ""
    others: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: without a byte in either direction; from the request to the first byte of its answer."""

    idle: float
    first_response: float = float("inf")


Decide = Callable[[Head], Said | Way]


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends every task that still runs."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def do(self, work: Coroutine[Any, Any, Any], seconds: float = 10) -> Any:
        """Runs it there and returns what it returned; to be called from other threads."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def begin(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Starts it there and does not wait; what is returned can be cancelled."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(_end_all())
        self._loop.close()


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class Listener:
    """One port: each request goes where `decide` says. `limits` are asked for each request anew."""

    def __init__(
        self,
        decide: Decide,
        limits: Callable[[], Limits],
        clock: Clock,
        too_late: Said = Said(504),
        broken: Said = Said(502),
    ) -> None:
        self._decide, self._limits, self._clock, self._too_late = decide, limits, clock, too_late
        self._broken = broken
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Raises OSError where it can't listen there, nor, without rights for that port, at the one instead of it."""
        try:
            self._server = await asyncio.start_server(self._serve, address, port, ssl=tls, limit=_HEAD_BYTES)
        except PermissionError:
            instead = port + WITHOUT_RIGHTS
            self._server = await asyncio.start_server(self._serve, address, instead, ssl=tls, limit=_HEAD_BYTES)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError):
            pass  # the client went, or spoke no HTTP
        finally:
            self._open.discard(task)
            writer.transport.abort() if writer.is_closing() else writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        limits = self._limits()
        timer = Timer(self._clock, limits.idle)
        raw = await timer.within(reader.readuntil(b"\r\n\r\n"))
        if raw is None:
            return
        head = _read_head(raw, str(writer.get_extra_info("peername")[0]))
        decided = self._decide(head) if head else Said(400)
        if isinstance(decided, Said) or head is None:
            await _say(writer, decided if isinstance(decided, Said) else Said(400))
            return
        with decided.within:
            await self._forward(decided, head, reader, writer, limits)

    async def _forward(
        self, way: Way, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits
    ) -> None:
        found = await _connected(way)
        if found is None:
            await _say(writer, self._broken)
            return
        inner_reader, inner_writer = found
        inner_writer.write(_head_bytes(head, way))
        timer = Timer(self._clock, limits.idle)
        sending = asyncio.create_task(pass_on(reader, inner_writer, timer), name="bytes of a client")
        try:
            await self._give_back(inner_reader, writer, timer, limits, sending)
        finally:
            sending.cancel()
            inner_writer.transport.abort()

    async def _give_back(
        self,
        inner: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        timer: Timer,
        limits: Limits,
        client: asyncio.Task[None],
    ) -> None:
        first = Timer(self._clock, limits.first_response)
        begun = False
        while True:
            piece = await timer.within(_read(inner), client, None if begun else first)
            if client.done():
                return
            if piece is None:
                if not begun:
                    await _say(writer, self._too_late)
                return
            if not piece:
                if not begun:
                    await _say(writer, self._broken)
                return
            begun = True
            writer.write(piece)
            await writer.drain()


async def _connected(way: Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """To the first of its servers that takes the connection; None where none does."""
    for host, port in ((way.host, way.port), *way.others):
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await opened(host, port, way.tls, way.name, way.source)
        except OSError:
            continue
    return None


class Timer:
    """How long nothing has happened, by the clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._since = clock.monotonic()

    def touch(self) -> None:
        self._since = self._clock.monotonic()

    @property
    def is_over(self) -> bool:
        return self._clock.monotonic() - self._since >= self._seconds

    async def within(
        self, reading: Coroutine[Any, Any, bytes], other: asyncio.Task[None] | None = None, also: Timer | None = None
    ) -> bytes | None:
        """What was read; None where the time is over, or `other` is done."""
        task = asyncio.create_task(reading)
        try:
            while not task.done():
                waited = {task, other} if other else {task}
                await asyncio.wait(waited, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if not task.done() and (self.is_over or (also and also.is_over) or (other and other.done())):
                    return None
            self.touch()
            return task.result()
        finally:
            task.cancel()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Nothing where the server ended or broke the connection."""
    try:
        return await reader.read(_PIECE_BYTES)
    except OSError:
        return b""


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timer: Timer) -> None:
    """Ends when either side goes; each piece touches the timer."""
    with contextlib.suppress(OSError):
        while piece := await reader.read(_PIECE_BYTES):
            timer.touch()
            writer.write(piece)
            await writer.drain()


async def _say(writer: asyncio.StreamWriter, said: Said) -> None:
    body = (said.body or f"{said.status} {_REASONS.get(said.status, '')}".strip() + "\n").encode()
    fields = {"Content-Type": "text/plain", **said.headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {said.status} {_REASONS.get(said.status, 'Answer')}", *(f"{k}: {v}" for k, v in fields.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    await writer.drain()


def _read_head(raw: bytes, peer: str) -> Head | None:
    first, *rest = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        return None
    pairs = [line.partition(":") for line in rest]
    return Head(parts[0], parts[1], tuple((name, value.strip()) for name, _, value in pairs), peer)


def _head_bytes(head: Head, way: Way) -> bytes:
    taken = {name.lower() for name in way.headers}
    named = [(name.lower(), (name, value)) for name, value in head.headers]
    gone = (*_OF_ONE_HOP, *taken)
    kept = [pair for name, pair in named if name not in gone and not name.startswith(way.withheld)]
    lines = (f"{name}: {value}" for name, value in (*kept, *way.headers.items(), ("Connection", "close")))
    return "\r\n".join([f"{head.method} {head.target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


@contextlib.contextmanager
def counted(counts: dict[Any, int], key: Any) -> Iterator[None]:
    """One more of `key` for as long as it lasts."""
    counts[key] = counts.get(key, 0) + 1
    try:
        yield
    finally:
        counts[key] -= 1
