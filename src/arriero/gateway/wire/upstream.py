"""Connections to targets: opened when needed, kept for the next request, and one request at a time on each.

Who runs: the event loop calls `Upstream`; opening a connection is a task of `Upstreams`, ended with it. Whoever asked
(the Receiver) hears in order: `on_head` once, `on_data` for each read after it, and `on_lost` if the connection breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from arriero.gateway.wire.address import TLS_PREFIX, split_target
from arriero.gateway.wire.headers import NO_HEAD, ResponseHead
from arriero.gateway.wire.repeats import FormerAnswer, former_answer_of
from arriero.gateway.wire.tls import TargetsTls

HEAD_BYTES_LIMIT = 65_536
IDLE_LIMIT = 256


class Receiver(Protocol):
    """Who waits for a response."""

    def is_waiting(self) -> bool:
        """False when nobody wants the response any more."""

    def on_connected(self, upstream: Upstream) -> None:
        """The request is on its way there; `upstream.close()` takes it back."""

    def on_head(self, upstream: Upstream, rest: bytes) -> None:
        """The head is whole; `rest` is what came with it of the body, as it came."""

    def on_data(self, upstream: Upstream, data: bytes, /) -> None:
        """Something of the body came: `data` as it came, `upstream.pieces` decoded."""

    def on_lost(self, why: str, was_reached: bool, /) -> None:
        """There will be no more; `was_reached` is False when no connection could be made."""


CLOSED = "it closed the connection"


class Upstream(asyncio.Protocol):
    """One connection to a target, and what has come of the response that is under way.

    `express`, set by the receiver while it may, is given each read that begins with a chunk; where it returns False the
    read goes the long way. While `is_blocked` the target takes no more of a request; `on_room` is called once it does.
    """

    __slots__ = (
        "_begun", "_can_keep", "_former", "_has_head", "_home", "_is_chunk_open", "_is_head", "_messages", "_parser",
        "_receiver", "express", "has_length", "head", "is_blocked", "is_chunked", "is_complete", "is_reused", "on_room",
        "pieces", "status", "transport",
    )  # fmt: skip

    def __init__(self, home: Home) -> None:
        self._home = home
        self._receiver: Receiver | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        # What the former answer was, while the parser stands right behind it.
        self._former: FormerAnswer | None = None
        self.is_reused = False
        self.pieces: list[bytes] = []
        self._is_chunk_open = self._is_head = self.is_blocked = False
        self.express: Callable[[bytes], bool] | None = None
        self.on_room: Callable[[], None] | None = None
        self._forget()

    def ask(self, request: bytes, receiver: Receiver) -> None:
        self._forget()
        self._is_head = request.startswith(b"HEAD ")
        self._receiver = receiver
        self.transport.write(request)
        receiver.on_connected(self)

    def release(self) -> None:
        """The response was read to its end: keeps the connection for the next request if it may be kept."""
        self._receiver = self.express = self.on_room = None
        if self.is_complete and self._can_keep and not self.transport.is_closing():
            self.is_reused = True
            self._home.keep(self)
        else:
            self.transport.close()

    def spend(self) -> None:
        """It can't be kept for another request: this one was not sent to its end."""
        self._can_keep = False

    def acknowledge_less(self) -> None:
        """Has the kernel acknowledge every second chunk of a stream, or when 40 ms have passed; else each read sends a
        packet of its own, a fifth of what a chunk costs (tcp(7): TCP_QUICKACK). No target waits
        for them: Ollama and sidecars send without Nagle's delay.
        """
        # A connection that has just ended has no socket any more.
        with contextlib.suppress(OSError, ValueError):
            self.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def close(self) -> None:
        """Ends it now; the target sees that, and stops generating."""
        self._receiver = self.express = self.on_room = None
        self.transport.abort()

    @property
    def is_at_chunk_end(self) -> bool:
        return not self._is_chunk_open

    @property
    def ends_with_connection(self) -> bool:
        """Neither a length nor chunks: only the end of the connection ends the body."""
        return not self.is_chunked and not self.has_length

    # The event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.express is not None and not self._is_chunk_open and self.express(data):
            return
        receiver = self._receiver
        if receiver is None:
            self.transport.abort()
            return
        former = self._former
        # An answer to HEAD has no body, whatever its head says.
        if former is not None and not self._begun and not self._is_head and (found := former.again(data)):
            self._repeated(former.status, *found, receiver)
            return
        self._former, self.pieces = None, []
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lose(f"it answered something that is not HTTP ({error})")
            return
        if self._messages > 1:
            self._lose("it sent more than one response")
        elif self._has_head:
            self._is_chunk_open = self._is_chunk_open or not data.endswith(b"\r\n")
            receiver.on_data(self, data)
        else:
            self._read_head(data, receiver)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._home.forget(self)
        self._lose(f"{CLOSED} ({error})" if error else CLOSED)

    def pause_writing(self) -> None:
        self.is_blocked = True

    def resume_writing(self) -> None:
        self.is_blocked = False
        if self.on_room is not None:
            self.on_room()

    # The parser's calls

    def on_message_begin(self) -> None:
        self._messages += 1

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_chunk_header(self) -> None:
        self._is_chunk_open = True

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_chunk_complete(self) -> None:
        self._is_chunk_open = False

    def on_message_complete(self) -> None:
        self.is_complete = True
        self._can_keep = self._parser.should_keep_alive()

    # Its own steps

    def _forget(self) -> None:
        self._begun = b""
        self._has_head = self._is_chunk_open = self._can_keep = False
        self._messages = self.status = 0
        self.express = None
        self.head = NO_HEAD
        self.pieces = []
        self.is_chunked = self.has_length = self.is_complete = False

    def _read_head(self, data: bytes, receiver: Receiver) -> None:
        head, end, rest = (self._begun + data).partition(b"\r\n\r\n")
        if not end:
            if len(head) > HEAD_BYTES_LIMIT:
                self._lose("its header is too large")
            self._begun = head
            return
        if self.status < 200:
            self._lose(f"it answered {self.status} where a final status belongs")
            return
        self._begun, self._has_head = b"", True
        self.head = ResponseHead(head)
        self.is_chunked = b"transfer-encoding" in self.head.known
        self.has_length = self.head.length is not None or self.status in (204, 304)
        self._is_chunk_open = self._is_chunk_open or not (rest.endswith(b"\r\n") or not rest)
        # There is no body whatever the head says, and what the parser waits for never comes.
        self.is_complete = self.is_complete or self._is_head
        if self.is_complete and self._can_keep and self.has_length and not self._is_head and len(self.pieces) < 2:
            self._former = former_answer_of(self.status, self.head, data, len(rest))
        receiver.on_head(self, rest)
        # Read there and nowhere else: a thousand open streams need not keep their heads.
        self.head = NO_HEAD

    def _repeated(self, status: int, head: ResponseHead, body: bytes, receiver: Receiver) -> None:
        """A whole answer came that begins like the former one."""
        self._messages, self.status, self.head, self.pieces = 1, status, head, [body] if body else []
        self._has_head = self.has_length = self.is_complete = self._can_keep = True
        receiver.on_head(self, body)
        self.head = NO_HEAD

    def _lose(self, why: str) -> None:
        receiver, self._receiver = self._receiver, None
        self.express = None
        self.transport.abort()
        if receiver is not None:
            receiver.on_lost(why, True)


class Home:
    """The connections to one address."""

    def __init__(self, address: str) -> None:
        self.host, self.port, self.has_tls = split_target(address)
        self.name = address.removeprefix(TLS_PREFIX).encode()
        self._idle: deque[Upstream] = deque()
        self.is_closed = False

    def take(self) -> Upstream | None:
        """The connection used last: the others may rest and end."""
        while self._idle:
            upstream = self._idle.pop()
            if not upstream.transport.is_closing():
                return upstream
        return None

    def keep(self, upstream: Upstream) -> None:
        if self.is_closed or len(self._idle) >= IDLE_LIMIT:
            upstream.transport.close()
        else:
            self._idle.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        if upstream.is_reused and upstream in self._idle:
            self._idle.remove(upstream)

    def close(self) -> None:
        self.is_closed = True
        while self._idle:
            self._idle.pop().transport.close()


class Upstreams:
    """Every address's connections. `connect_seconds` bounds the wait for a new one; `tls` is for `https://` ones."""

    def __init__(self, connect_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        self.tls: TargetsTls | None = None
        self._homes: dict[str, Home] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def home(self, address: str) -> Home:
        home = self._homes.get(address)
        if home is None:
            home = self._homes[address] = Home(address)
        return home

    def ask(self, home: Home, request: bytes, receiver: Receiver) -> None:
        """Sends the request over a kept connection, or over a new one as soon as it is open."""
        upstream = home.take()
        if upstream is not None:
            upstream.ask(request, receiver)
            return
        opening = self._open(home, request, receiver)
        task = asyncio.get_running_loop().create_task(opening, name=f"connect to {home.host}:{home.port}")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def keep_only(self, addresses: set[str]) -> None:
        """Ends kept connections to any other address."""
        for address in self._homes.keys() - addresses:
            self._homes.pop(address).close()

    async def close(self) -> None:
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        self.keep_only(set())

    async def _open(self, home: Home, request: bytes, receiver: Receiver) -> None:
        try:
            async with asyncio.timeout(self._connect_seconds):
                upstream = await self._connected(home)
        except TimeoutError:
            receiver.on_lost(f"no connection within {self._connect_seconds:g} s", False)
        except OSError as error:
            receiver.on_lost(f"no connection ({error.strerror or error})", False)
        else:
            if receiver.is_waiting():
                upstream.ask(request, receiver)
            else:
                upstream.transport.close()

    async def _connected(self, home: Home) -> Upstream:
        loop = asyncio.get_running_loop()
        if not home.has_tls:
            _, upstream = await loop.create_connection(lambda: Upstream(home), home.host, home.port)
        elif self.tls is None:
            raise OSError("this gateway has no TLS for its targets")
        else:
            name = self.tls.name or home.host
            _, upstream = await loop.create_connection(
                lambda: Upstream(home), home.host, home.port, ssl=self.tls.context, server_hostname=name
            )
        return upstream
