"""One client's connection: parses requests, answers them in order, and notices at once when the client goes.

Who runs: the event loop calls in, nothing here waits. Requests that come before the former is answered queue up, at
most QUEUE_LIMIT of them; then the socket is read no further. A client that goes cancels its running request at once.
Framing that can be read in two ways is refused: httptools (llhttp, strict) does most of it, the rest is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from arriero.control.settings import Limits
from arriero.gateway.relay.warming import rest_of
from arriero.gateway.telling.record import Record
from arriero.gateway.wire.answers import CONTINUE, Answer, error_answer
from arriero.gateway.wire.headers import sort_headers
from arriero.gateway.wire.repeats import Former, former_of
from arriero.gateway.wire.request import Request
from arriero.gateway.wire.sending import Upload

QUEUE_LIMIT = 32
# Of a body that anybody may send; before more of it is kept, the handler is asked who sends it.
UNASKED_BYTES = 65_536
# How long a client that gets an error while it is still sending may go on, so that it reads the error first.
LINGER_SECONDS = 1.0


class Work(Protocol):
    """What runs for a request after its handler has returned."""

    def cancel(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Handler(Protocol):
    """What stands behind the connections of one listener."""

    limits: Limits
    connections: set[ClientConnection]
    now: Callable[[], float]

    def handle(self, client: ClientConnection, request: Request) -> Work | None:
        """Answers with `client.answer`, or returns the work that will `write` and `finish`.

        For a request that `is_begun` the work is an Upload as well.
        """

    def objection(self, request: Request, /) -> tuple[int, str] | None:
        """Why the rest of a large body should not come at all, as status and sentence."""

    def headers_for(self, request: Request, /) -> bytes:
        """Header lines that every response gets."""

    def answered(self, request: Request, status: int, sent_bytes: int, record: Record | None, /) -> None:
        """An answer of our own went out; `record` if the request was at a target before."""


class ClientConnection(asyncio.Protocol):
    __slots__ = (
        "_beside_bytes", "_blocked_since", "_body_bytes", "_former", "_handler", "_has_asked", "_has_grown",
        "_is_closing", "_is_paused", "_is_pumping", "_parser", "_queue", "_reading", "_since", "current", "is_blocked",
        "peer", "transport", "work",
    )  # fmt: skip

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._parser = httptools.HttpRequestParser(self)
        # A list: an empty deque takes 760 bytes, and of a thousand streams each has one.
        self._queue: list[Request] = []
        self._reading: Request | None = None
        # What the former request was, while the parser stands right behind it; kept from the second one on.
        self._former: Former | None = None
        self._has_asked = False
        self._since = handler.now()
        self._body_bytes = 0
        self._beside_bytes = 0
        self._has_grown = False
        self._blocked_since = 0.0
        self._is_closing = False
        self._is_pumping = False
        self._is_paused = False
        self.current: Request | None = None
        self.work: Work | None = None
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.peer = ""
        self.is_blocked = False

    # The event loop's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        connections = self._handler.connections
        connections.add(self)
        if self._are_too_many(connections):
            self._is_closing = True
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        is_between = self._reading is None and self.current is None and not self._queue
        if is_between and self._former is not None and (again := self._former.again(data, self._handler.now())):
            self._since = again.came_at
            self._handle(again)
            return
        self._former = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_closing = True
        except httptools.HttpParserError as error:
            self._refuse(400, f"bad request: {error}")
        reading = self._reading
        if reading is not None:
            self._count(reading, len(data))
        if self._reading is not None and self._reading.refusal:
            self._is_closing = True
            self._give_up(self._reading)
            self._queue.append(self._reading)
        if is_between and self._reading is None and len(self._queue) == 1:
            most = self._handler.limits.body_bytes
            self._former = former_of(self._queue[0], data, most) if self._has_asked else None
            self._has_asked = True
        if self._queue:
            self._pump()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _: Exception | None) -> None:
        self._handler.connections.discard(self)
        self._is_closing = True
        self._queue.clear()
        work, self.work, self.current = self.work, None, None
        if work is not None:
            work.cancel()

    def pause_writing(self) -> None:
        self.is_blocked = True
        self._blocked_since = self._handler.now()
        if self.work is not None:
            self.work.pause()

    def resume_writing(self) -> None:
        self.is_blocked = False
        if self.work is not None:
            self.work.resume()

    # The parser's calls

    def on_message_begin(self) -> None:
        self._reading = Request(self._handler.now())
        self._since = self._reading.came_at
        self._body_bytes = self._beside_bytes = 0

    def on_url(self, url: bytes) -> None:
        assert self._reading is not None
        self._reading.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._reading
        assert request is not None
        # None: a trailer, which came after what was decided by the header, and must not pass for a part of it.
        if request.headers is not None:
            request.headers.append((name, value))

    def on_headers_complete(self) -> None:
        request = self._reading
        assert request is not None
        request.head_bytes += sort_headers(request)
        request.understand(self._parser.get_method().decode("ascii"), self._parser.get_http_version())
        limits = self._handler.limits
        if request.head_bytes + len(request.target) > limits.header_bytes:
            request.refuse(431, f"the header is larger than {limits.header_bytes} bytes")
        is_upload = request.is_upload and self.current is None and not self._queue
        if request.length and int(request.length) > limits.body_bytes and not is_upload:
            request.refuse(413, f"the body is larger than {limits.body_bytes} bytes")
        if is_upload and not request.refusal:
            self._begin(request)
        elif request.wants_continue and not request.refusal:
            self._say_continue(request)

    def on_body(self, piece: bytes) -> None:
        request = self._reading
        assert request is not None
        self._body_bytes += len(piece)
        self._has_grown = True
        if request.is_begun:
            self._since = self._handler.now()
            if self.work is not None and not request.refusal:
                cast(Upload, self.work).take(piece)
            return
        if self._body_bytes > self._handler.limits.body_bytes:
            request.refuse(413, f"the body is larger than {self._handler.limits.body_bytes} bytes")
        elif not request.refusal:
            request.pieces.append(piece)
            if self._body_bytes > UNASKED_BYTES and self._body_bytes - len(piece) <= UNASKED_BYTES:
                self._ask_for_objection(request)

    def on_message_complete(self) -> None:
        request, self._reading = self._reading, None
        assert request is not None
        self._since = self._handler.now()
        if request.is_begun:
            if self.work is not None:
                cast(Upload, self.work).complete()
            return
        request.body = request.pieces[0] if len(request.pieces) == 1 else b"".join(request.pieces)
        request.pieces.clear()
        if self._parser.should_upgrade():
            request.refuse(400, "this server does not change protocols")
        if request.is_http_1_0 or not self._parser.should_keep_alive():
            request.close = True
        self._queue.append(request)
        if len(self._queue) >= QUEUE_LIMIT and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    # The handler's calls

    def headers_for(self, request: Request) -> bytes:
        return self._handler.headers_for(request)

    def answer(self, answer: Answer, record: Record | None = None) -> None:
        """Sends a whole response to the current request."""
        request = self.current
        assert request is not None
        if request.warming is not None:
            request.warming.stop()
        if request.is_head_sent:
            data = rest_of(request.dialect, answer)
        else:
            more = self._handler.headers_for(request) + self.closing_header(request)
            data = answer.encode(more, request.method != "HEAD")
        self.transport.write(data)
        self._handler.answered(request, answer.status, len(data), record)
        self.finish(request.close)

    def now(self) -> float:
        return self._handler.now()

    def closing_header(self, request: Request) -> bytes:
        return b"Connection: close\r\n" if request.close else b""

    def finish(self, close: bool) -> None:
        """The current request's response is out; the next one may begin."""
        self.current = self.work = None
        self._since = self._handler.now()
        if close:
            self._is_closing = True
            self._queue.clear()
            self._end()
        elif self._queue:
            self._pump()

    def abort(self) -> None:
        """Ends the connection so that the client sees that its response is not whole."""
        self.transport.abort()

    def retire(self) -> None:
        """Ends it now if nothing runs, else after what runs."""
        if self.current is not None:
            self.current.close = True
        elif not self._queue:
            self._is_closing = True
            self.transport.close()

    def sweep(self, now: float) -> None:
        """Ends what a slow or silent client holds open."""
        if self.is_blocked and now - self._blocked_since > self._handler.limits.send_seconds:
            self.abort()
            return
        if self._reading is not None and self._reading is self.current and self.transport.is_reading():
            if now - self._since > self._handler.limits.body_seconds:
                self.abort()
            return
        if self.current is not None or self._is_closing:
            return
        limits, waited = self._handler.limits, now - self._since
        if self._reading is None:
            # Bytes of a head may have come already: the parser tells nothing before the method is whole.
            if waited > limits.idle_seconds:
                self.transport.close()
        elif waited > (limits.body_seconds if self._reading.path else limits.header_seconds):
            self._refuse(408, "the request did not come in time")
            self._queue.append(self._reading)
            self._is_closing = True
            self._pump()

    # Its own steps

    def _begin(self, request: Request) -> None:
        """Handles it before its body has come; no other request follows on this connection."""
        request.is_begun = request.close = True
        self.current = request
        work = self._handler.handle(self, request)
        if self.current is request and work is not None:
            self.work = work
            if request.wants_continue:
                self.transport.write(CONTINUE)

    def _say_continue(self, request: Request) -> None:
        """Lets the body come, unless its sender may not send it or the answer has to wait for others."""
        self._ask_for_objection(request)
        if not request.refusal and self.current is None and not self._queue:
            self.transport.write(CONTINUE)

    def _give_up(self, request: Request) -> None:
        """What is being read has gone wrong: what was begun with it ends."""
        if request is self.current and self.work is not None:
            work, self.work, self.current = self.work, None, None
            work.cancel()

    def _ask_for_objection(self, request: Request) -> None:
        objection = self._handler.objection(request)
        if objection is not None:
            request.refuse(*objection)

    def _are_too_many(self, connections: set[ClientConnection]) -> bool:
        limits = self._handler.limits
        if len(connections) > limits.connections:
            return True
        if len(connections) <= limits.connections_an_address:
            return False
        return sum(other.peer == self.peer for other in connections) > limits.connections_an_address

    def _handle(self, request: Request) -> None:
        self.current = request
        work = self._handler.handle(self, request)
        if self.current is request:
            self.work = work

    def _pump(self) -> None:
        """Handles queued requests until one has to wait. A loop: a handler that answers calls `finish`."""
        if self._is_pumping:
            return
        self._is_pumping = True
        while self._queue and self.current is None:
            request = self._queue.pop(0)
            if request.refusal:
                self.current = request
                self.answer(error_answer(request.dialect, *request.refusal))
            else:
                self._handle(request)
        self._is_pumping = False
        if self._is_paused and not self._is_closing and len(self._queue) < QUEUE_LIMIT:
            self._is_paused = False
            self.transport.resume_reading()

    def _count(self, request: Request, received_bytes: int) -> None:
        """Bounds what has come and is no body yet; the parser would keep an endless line of a header or trailer."""
        limit = self._handler.limits.header_bytes
        if not request.path:
            request.head_bytes += received_bytes
            if request.head_bytes > 2 * limit:
                self._refuse(431, f"the header is larger than {limit} bytes")
        elif self._has_grown:
            self._has_grown, self._beside_bytes = False, 0
        else:
            self._beside_bytes += received_bytes
            if self._beside_bytes > 2 * limit:
                self._refuse(431, f"what comes beside the body is larger than {limit} bytes")

    def _refuse(self, status: int, message: str) -> None:
        """What is being read can't be served, and nothing after it on this connection can be trusted."""
        if self._reading is None:
            self._reading = Request(self._handler.now())
        self._reading.refuse(status, message)

    def _end(self) -> None:
        transport = self.transport
        if self._reading is None:
            transport.close()
            return
        # Closing with unread input would send a reset, and the client might lose the answer with it.
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.close)
