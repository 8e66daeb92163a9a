"""An answer that begins like the one before it is understood as a first one would be, whatever is changed in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arriero.gateway.wire.upstream import Home, Upstream

HEAD = b"HTTP/1.1 200 OK\r\nNote: Content-length: 4\r\nContent-length: %b\r\nContent-Type: application/json\r\n\r\n"
FIRST = HEAD % b"4" + b"body"
OTHERS = (
    FIRST,
    HEAD % b"11" + b"longer body",
    HEAD % b"0",
    HEAD % b"007" + b"7 bytes",
    HEAD % b"4" + b"bo",
    HEAD % b"4" + b"body too long",
    FIRST + FIRST,
    HEAD % b"+4" + b"body",
    HEAD % b"4, 4" + b"body",
    HEAD % b"4\r\nContent-Length: 5" + b"body!",
    HEAD % b"4\r\nTransfer-Encoding: chunked" + b"0\r\n\r\n",
    HEAD % b"4\r\nConnection: close" + b"body",
    HEAD % b"99999" + b"body",
    b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + FIRST,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
)


class Wire:
    """A connection on which nothing is sent."""

    is_ended = False

    def write(self, _: bytes) -> None:
        """Only what comes matters."""

    def abort(self) -> None:
        self.is_ended = True

    close = abort

    def is_closing(self) -> bool:
        return self.is_ended


class Asker:
    """Notes what it hears, and lets the connection go when the answer is whole."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def is_waiting(self) -> bool:
        return True

    def on_connected(self, upstream: Upstream) -> None:
        """It is one already."""

    def on_head(self, upstream: Upstream, rest: bytes) -> None:
        known = upstream.head.length, sorted(upstream.head.known.items())
        head = upstream.head.encode(b"", True), known, upstream.head.media_type
        flags = upstream.is_chunked, upstream.has_length, upstream.ends_with_connection
        self.heard.append(("head", upstream.status, head, flags))
        self.on_data(upstream, rest)

    def on_data(self, upstream: Upstream, data: bytes) -> None:
        self.heard.append((data, b"".join(upstream.pieces), upstream.is_complete))
        if upstream.is_complete:
            upstream.release()

    def on_lost(self, why: str, was_reached: bool) -> None:
        self.heard.append((why, was_reached))


def understood(before: Sequence[bytes], reads: Sequence[bytes], method: bytes = b"GET") -> tuple[Any, ...]:
    """What was heard of these reads on a connection where `before` had come, an answer each."""
    home = Home("127.0.0.1:1")
    upstream = Upstream(home)
    upstream.connection_made(Wire())  # type: ignore[arg-type]
    for data in before:
        upstream.ask(b"GET / HTTP/1.1\r\n\r\n", Asker())
        upstream.data_received(data)
    asker = Asker()
    upstream.ask(method + b" / HTTP/1.1\r\n\r\n", asker)
    for data in reads:
        upstream.data_received(data)
    return asker.heard, upstream.transport.is_closing()


def test_whatever_answer_follows_is_understood_as_on_a_new_connection() -> None:
    for other in OTHERS:
        for before in ((FIRST,), (FIRST, FIRST), (FIRST, HEAD % b"0")):
            assert understood(before, [other]) == understood((), [other]), other


def test_an_answer_is_the_same_wherever_a_read_ends() -> None:
    for other in OTHERS:
        for at in range(1, len(other)):
            reads = other[:at], other[at:]
            assert understood([FIRST] * 2, reads) == understood((), reads), reads


def test_any_changed_byte_of_a_repeated_answer_counts() -> None:
    for at in range(len(FIRST)):
        for byte in (b"\r", b"\n", b"9", b":"):
            read = FIRST[:at] + byte + FIRST[at + 1 :]
            assert understood([FIRST] * 2, [read]) == understood((), [read]), read


def test_an_answer_to_head_has_no_body_whatever_came_before() -> None:
    head = FIRST.removesuffix(b"body")
    assert understood([FIRST] * 2, [head], b"HEAD") == understood((), [head], b"HEAD")


def test_the_parser_is_spared_what_repeats() -> None:
    """Else the tests above would compare nothing."""
    upstream = Upstream(Home("127.0.0.1:1"))
    upstream.connection_made(Wire())  # type: ignore[arg-type]
    spared = []
    for data in (FIRST, FIRST, HEAD % b"0", OTHERS[13], FIRST, OTHERS[1]):
        former = upstream._former
        upstream.ask(b"GET / HTTP/1.1\r\n\r\n", Asker())
        upstream.data_received(data)
        spared.append(former is not None and upstream._former is former)
    assert spared == [False, True, True, False, False, True]
