"""One request on its way through to Ollama, and its answer back: every byte of the body as it came.

Nothing is tried again here. An answer that breaks off is broken off for the client too: the edge tells it from a whole
one, and knows what to do.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from arriero.control.footprint import HEADER, footprint
from arriero.gateway.wire.answers import error_answer
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.express import Passthrough
from arriero.gateway.wire.headers import request_bytes
from arriero.gateway.wire.request import Request
from arriero.gateway.wire.upstream import Upstream
from arriero.gateway.words.paths import Kind

if TYPE_CHECKING:
    from arriero.gateway.sidecar.door import Door


class Passage:
    """The client connection's `Work` and the upstream's `Receiver`. `has_slot`: it has to be given back."""

    __slots__ = (
        "_client", "_door", "_head", "_is_bare", "_is_head_out", "_model", "_request", "_short_way", "_status",
        "_upstream", "has_slot", "started_at",
    )  # fmt: skip

    def __init__(
        self, door: Door, client: ClientConnection, request: Request, model: str | None = None, has_slot: bool = False
    ) -> None:
        self._door, self._client, self._request = door, client, request
        self._model, self.has_slot = model, has_slot
        self._upstream: Upstream | None = None
        self._head = b""
        self._short_way = Passthrough(client.transport.write)
        self._is_head_out = self._is_bare = False
        self._status = 0
        self.started_at = door.now()
        door.open.add(self)
        # Of what gets no line here, Ollama's line needs no id either.
        first = _footprint(request.id) if has_slot or changes_models(request) else b""
        door.upstreams.ask(door.home, request_bytes(as_asked(request), door.home.name, first=first), self)
        # It is sent once and never again: a thousand open streams need not keep their prompts.
        request.body = b""

    # The client's calls

    def cancel(self) -> None:
        """The client has gone: Ollama sees it at once, and stops generating."""
        self._over("gone")

    def pause(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def resume(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.resume_reading()

    # Ollama's calls

    def is_waiting(self) -> bool:
        return self in self._door.open and self._upstream is None

    def on_connected(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def on_head(self, upstream: Upstream, rest: bytes) -> None:
        request, client = self._request, self._client
        self._is_head_out = True
        self._status = upstream.status
        keeps_chunks = upstream.is_chunked and not request.is_http_1_0
        self._is_bare = upstream.is_chunked and not keeps_chunks
        request.close = request.close or self._is_bare or upstream.ends_with_connection
        more = client.headers_for(request) + client.closing_header(request)
        self._head = upstream.head.encode(more, keeps_chunks)
        if self.has_slot:
            self._door.began(self._model, upstream.status)
        if client.is_blocked:
            self.pause()
        self.on_data(upstream, rest)

    def on_data(self, upstream: Upstream, data: bytes) -> None:
        if self._is_bare:
            data = b"".join(upstream.pieces)
        if self._request.method == "HEAD":
            data = b""
        elif upstream.pieces:
            self._short_way.last = data
        if self._head:
            # With the first of the body in one system call.
            data, self._head = self._head + data, b""
        if data:
            self._client.transport.write(data)
        if upstream.is_chunked and not self._is_bare and data and not upstream.is_complete:
            if upstream.express is None:
                upstream.acknowledge_less()
            upstream.express = self._short_way.take
        if upstream.is_complete:
            self._upstream = None
            upstream.release()
            self._over("answered")
            self._client.finish(self._request.close)

    def on_lost(self, why: str, _: bool) -> None:
        if self not in self._door.open:
            return
        upstream, self._upstream = self._upstream, None
        self._door.look()
        if not self._is_head_out:
            self._status = 502
            self._over("failed")
            self._client.answer(error_answer(self._request.dialect, 502, f"Ollama did not answer: {why}"))
            return
        self._over("cut")
        if upstream is not None and upstream.ends_with_connection and not self._client.transport.is_closing():
            self._client.finish(True)
        else:
            self._client.transport.close()

    # The sidecar's calls

    def cut(self) -> None:
        """The grace is over."""
        if self._upstream is not None:
            self._upstream.close()
        self.on_lost("it is being stopped", True)

    def _over(self, outcome: str) -> None:
        door, upstream = self._door, self._upstream
        if self not in door.open:
            return
        self._upstream = None
        if upstream is not None:
            upstream.close()
        door.open.discard(self)
        if self.has_slot:
            door.ended(self._model)
        request = self._request
        door.figures.count(request.path, self._status, outcome, self._model, self._short_way.last)
        # An edge looks at its targets each second: such lines would hide all others.
        if self.has_slot or changes_models(request) or outcome != "answered" or self._status >= 400:
            door.tell_of(request, self._model, self._status, outcome, self.started_at)


def as_asked(request: Request) -> Request:
    """HEAD becomes GET, whose body is left out, where GET means anything."""
    if request.method != "HEAD" or request.path.startswith("/api/blobs/"):
        return request
    asked = copy.copy(request)
    asked.method = "GET"
    return asked


def _footprint(request_id: str) -> bytes:
    return b"%b: %b\r\n" % (HEADER, footprint(request_id).encode())


def needs_slot(request: Request) -> bool:
    rule = request.rule
    return rule is not None and rule.kind is Kind.RUN and request.method in rule.methods


def changes_models(request: Request) -> bool:
    return request.rule is not None and request.rule.kind is Kind.WRITE
