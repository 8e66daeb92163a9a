"""Signs of life for a client that asked for them, while its request waits for a place or for its model to be loaded.

With the header `X-Arriero-Warming: events` a streamed request that is not answered at once gets its head early (status
200) and then a line every few seconds: a comment in event streams, which every client skips, and a status line in
Ollama's own streams. So no proxy between takes the connection for dead. The answer follows in the same body; what
would have been an error status is an error record then.

Who runs: one timer of the event loop for such a request, until its answer begins or its client goes.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from arriero.gateway.words.dialects import NATIVE, Dialect, compact

if TYPE_CHECKING:
    from arriero.gateway.wire.answers import Answer
    from arriero.gateway.wire.connection import ClientConnection
    from arriero.gateway.wire.request import Request

HEADER = b"x-arriero-warming"
_STREAMING = frozenset(
    ("/api/generate", "/api/chat", "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")
)


class Warming:
    """`Request.warming` while it runs."""

    __slots__ = ("_client", "_model", "_request", "_seconds", "_timer")

    def __init__(self, client: ClientConnection, request: Request, model: str, seconds: float) -> None:
        self._client, self._request, self._model, self._seconds = client, request, model, seconds
        # A short wait is no reason to give up the status code.
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tell)

    def stop(self) -> None:
        """The answer begins."""
        self._timer.cancel()
        self._request.warming = None

    def _tell(self) -> None:
        client, request = self._client, self._request
        if client.current is not request:
            return
        if not client.is_blocked:
            head = b"" if request.is_head_sent else _head(client, request)
            request.is_head_sent = True
            sign = _sign(request.dialect, self._model, client.now() - request.came_at)
            client.transport.write(head + chunk(sign))
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._tell)


def start_if_asked(client: ClientConnection, request: Request, model: str, seconds: float) -> None:
    """Once a request; nothing happens for one that did not ask, or whose answer is no stream of chunks."""
    if request.warming is None and request.streams and request.path in _STREAMING and not request.is_http_1_0:
        wishes = [value.strip().lower() for value in request.all_of(HEADER)]
        if b"events" in wishes:
            request.warming = Warming(client, request, model, seconds)


def rest_of(dialect: Dialect, answer: Answer) -> bytes:
    """A whole answer, told where only a stream can go on: its last record and the end of the body."""
    return rest(dialect, answer.status, answer.body)


def rest(dialect: Dialect, status: int, body: bytes) -> bytes:
    """The same for a response with this status and body."""
    if status == 200:
        text = body.strip()
        record = text + b"\n" if dialect is NATIVE else b"data: " + text.replace(b"\n", b" ") + b"\n\n"
    else:
        record = dialect.error_record(_message(status, body))
    return chunk(record) + b"0\r\n\r\n"


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


def _head(client: ClientConnection, request: Request) -> bytes:
    kind = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n" % request.dialect.stream_type
    return kind + client.headers_for(request) + client.closing_header(request) + b"\r\n"


def _sign(dialect: Dialect, model: str, waited_seconds: float) -> bytes:
    if dialect is NATIVE:
        return compact({"status": "warming", "model": model, "waited_seconds": round(waited_seconds, 1)}) + b"\n"
    return f": warming {model}, {waited_seconds:.1f} s\n\n".encode()


def _message(status: int, body: bytes) -> str:
    """The sentence in an error's body, in whatever dialect; else the status."""
    try:
        value = json.loads(body)["error"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return f"status {status}"
    message = value.get("message") if isinstance(value, dict) else value
    return message if isinstance(message, str) else f"status {status}"
