"""A request that begins like the one before it is understood as a first one would be, whatever is changed in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from arriero.control.settings import Limits
from arriero.gateway.telling.record import Record
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.request import Request

HEAD = (
    b"POST /api/chat?a=b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nX-Own: 1\r\n"
    b"content-length: %b\r\nAccept: */*\r\n\r\n"
)
FIRST = HEAD % b"4" + b"body"
OTHERS = (
    FIRST,
    HEAD % b"11" + b"longer body",
    HEAD % b"0",
    HEAD % b"41" + b"x" * 41,
    HEAD % b"007" + b"7 bytes",
    HEAD % b"4" + b"bo",
    HEAD % b"4" + b"body too long",
    HEAD % b"4" + b"body" + FIRST,
    HEAD % b"4" + b"\r\n\r\n" + b"\r\n",
    HEAD % b"+4" + b"body",
    HEAD % b" 4 " + b"body",
    HEAD % b"4, 4" + b"body",
    HEAD % b"4\r\nContent-Length: 4" + b"body",
    HEAD % b"4\r\nContent-Length: 5" + b"body!",
    HEAD % b"4\r\nTransfer-Encoding: chunked" + b"0\r\n\r\n",
    HEAD % b"4\r\nConnection: close" + b"body",
    HEAD % b"4\r\nExpect: 100-continue" + b"body",
    HEAD % b"99999" + b"body",
    HEAD % b"1234567" + b"body",
    HEAD % b"" + b"body",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\r\n" + FIRST,
)


class Listener:
    """Notes what it is given, and is done with it at once."""

    limits = Limits(header_bytes=4096, body_bytes=40)

    def __init__(self) -> None:
        self.connections: set[ClientConnection] = set()
        self.now: Callable[[], float] = lambda: 1.0
        self.seen: list[tuple[Any, ...]] = []

    def handle(self, client: ClientConnection, request: Request) -> None:
        names = ("method", "path", "target", "passed", "known", "repeated", "host", "origin", "length", "body", "close")
        more = ("rule", "dialect", "is_http_1_0", "is_upload", "wants_continue", "id", "caller", "trace", "streams")
        self.seen.append(tuple(getattr(request, name) for name in (*names, *more)))
        # What is found out later is this request's alone.
        request.id, request.streams, request.close = "its own", True, request.close or b"close" in request.body
        client.finish(request.close)

    def objection(self, _: Request) -> None:
        return None

    def headers_for(self, _: Request) -> bytes:
        return b""

    def answered(self, request: Request, status: int, sent_bytes: int, record: Record | None) -> None:
        """Only what was sent matters."""


class Wire:
    """A transport that keeps what was sent."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_closed = True

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, _: str) -> None:
        return None


def understood(before: Sequence[bytes], reads: Sequence[bytes]) -> tuple[Any, ...]:
    """What became of these reads on a connection where `before` had come."""
    listener, wire = Listener(), Wire()
    client = ClientConnection(listener)
    client.connection_made(wire)  # type: ignore[arg-type]
    for data in before:
        client.data_received(data)
    listener.seen.clear()
    for data in reads:
        client.data_received(data)
    return listener.seen, wire.sent, wire.is_closed


def compare(cases: Sequence[Sequence[bytes]]) -> None:
    async def story() -> None:
        for reads in cases:
            assert understood([FIRST] * 3, reads) == understood([], reads), reads

    asyncio.run(story())


def test_whatever_follows_a_request_is_understood_as_on_a_new_connection() -> None:
    compare([(*first, other, FIRST) for other in OTHERS for first in ((), (FIRST,), (OTHERS[1], FIRST))])


def test_a_request_is_the_same_wherever_a_read_ends() -> None:
    compare([(other[:at], other[at:], FIRST) for other in OTHERS[:8] for at in range(1, len(other))])


def test_any_changed_byte_of_a_repeated_request_counts() -> None:
    compare([(FIRST[:at] + byte + FIRST[at + 1 :],) for at in range(len(FIRST)) for byte in (b"\r", b"\n", b"9", b":")])


def test_the_parser_is_spared_only_what_repeats() -> None:
    """Else the tests above would compare nothing."""

    async def story() -> list[int]:
        listener, parsed = Listener(), []
        client = ClientConnection(listener)
        client.connection_made(Wire())  # type: ignore[arg-type]
        for data in (FIRST, FIRST, FIRST, OTHERS[1], HEAD % b"0", OTHERS[-2], FIRST, FIRST, FIRST):
            former = client._former
            client.data_received(data)
            parsed.append(former is not None and client._former is former)
        return parsed

    assert asyncio.run(story()) == [False, False, True, True, True, False, False, True, True]
