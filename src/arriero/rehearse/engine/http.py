"""HTTP/1.1 as far as Ollama's clients use it, framed as Go frames it.

One task a request, one request at a time a connection. When the client goes, the task is cancelled: that is how a
disconnect aborts a generation. Writing waits for a slow reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from arriero.rehearse.engine.wire import http_date

_REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    499: "status code 499",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_HEAD_LIMIT = 64 * 1024
_UNCHUNKED_LIMIT = 2048  # Go knows the length of a body only as long as it fits its write buffer


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is decoded and without the query; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Exchange:
    """The way to answer one request: `send` once, or `begin`, `write`… and `end`."""

    def __init__(self, writer: asyncio.StreamWriter, request: Request) -> None:
        self.request = request
        self.status = 0
        self._writer = writer
        self._head = b""
        self.closes = request.headers.get("connection", "").lower() == "close"
        self.extra: dict[str, str] = {}

    async def send(self, status: int, body: bytes = b"", content_type: str = "") -> None:
        if len(body) > _UNCHUNKED_LIMIT and self.request.method != "HEAD":
            self.begin(status, content_type)
            await self.write(body)
            await self.end()
            return
        length = {} if status == 204 else {"Content-Length": str(len(body))}
        head = self._make_head(status, content_type, length)
        self._writer.write(head if self.request.method == "HEAD" else head + body)
        await self._writer.drain()

    def begin(self, status: int, content_type: str) -> None:
        """The head goes out with the first bytes of the body, as from Go's buffer."""
        self._head = self._make_head(status, content_type, {}, {"Transfer-Encoding": "chunked"})

    async def write(self, data: bytes) -> None:
        """One chunk."""
        self._writer.write(b"%s%x\r\n%s\r\n" % (self._head, len(data), data))
        self._head = b""
        await self._writer.drain()

    async def end(self) -> None:
        self._writer.write(self._head + b"0\r\n\r\n")
        self._head = b""
        await self._writer.drain()

    def _make_head(
        self, status: int, content_type: str, length: Mapping[str, str], last: Mapping[str, str] | None = None
    ) -> bytes:
        self.status = status
        own = sorted({**self.extra, **({"Content-Type": content_type} if content_type else {})}.items())
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}"]
        lines += [f"{name}: {value}" for name, values in own for value in values.split("\n")]
        lines += [f"Date: {http_date()}", *(f"{k}: {v}" for k, v in length.items())]
        lines += ["Connection: close"] if self.closes else []
        lines += [f"{k}: {v}" for k, v in (last or {}).items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


Handler = Callable[[Exchange], Awaitable[None]]


class Connections:
    """Serves connections with one handler for all requests."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def listen(self, host: str, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._connect, host, port, backlog=1024)

    def _connect(self) -> asyncio.StreamReaderProtocol:
        reader = _Reader(limit=_HEAD_LIMIT)
        return asyncio.StreamReaderProtocol(reader, lambda _, writer: self._serve(reader, writer))

    async def _serve(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                exchange = Exchange(writer, request)
                if not await self._answer(exchange, reader) or exchange.closes:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return  # a client that went away, or that does not speak HTTP
        finally:
            writer.close()

    async def _answer(self, exchange: Exchange, reader: _Reader) -> bool:
        """Runs the handler while watching the client; False if the client went first."""
        work = asyncio.ensure_future(self._handler(exchange))
        gone = asyncio.ensure_future(reader.ended.wait())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return False
            work.result()
            return not gone.done()
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)


class _Reader(asyncio.StreamReader):
    """A stream that tells when its other end has closed, also while nobody reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.ended.set()

    def set_exception(self, error: Exception) -> None:
        super().set_exception(error)
        self.ended.set()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = [line.partition(":") for line in lines if line]
    # Of headers that come twice Go gives the first.
    headers = {name.strip().lower(): value.strip() for name, _, value in reversed(pairs)}
    path = unquote(urlsplit(target).path)
    return Request(method, path, headers, await _read_body(reader, headers))


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    parts: list[bytes] = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)
