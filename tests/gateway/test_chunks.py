"""Chunks of a target's answer give the same body and the same bytes, however they are cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from arriero.gateway.wire.upstream import Home, Upstream

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Reader:
    """A Receiver that keeps what it is given."""

    def __init__(self) -> None:
        self.raw, self.body, self.lost = b"", b"", ""

    def is_waiting(self) -> bool:
        return True

    def on_connected(self, upstream: Upstream) -> None:
        """Nothing to do."""

    def on_head(self, upstream: Upstream, rest: bytes) -> None:
        self.on_data(upstream, rest)

    def on_data(self, upstream: Upstream, data: bytes) -> None:
        self.raw += data
        self.body += b"".join(upstream.pieces)

    def on_lost(self, why: str, was_reached: bool) -> None:
        self.lost = why


class Silent(asyncio.Transport):
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody reads it."""

    def abort(self) -> None:
        """It is closed already."""


def answered(reads: list[bytes]) -> tuple[Reader, Upstream]:
    reader, upstream = Reader(), Upstream(Home("127.0.0.1:1"))
    upstream.connection_made(cast(asyncio.BaseTransport, Silent()))
    upstream.ask(b"", reader)
    for read in reads:
        upstream.data_received(read)
    return reader, upstream


pieces = st.lists(st.binary(min_size=1, max_size=40) | st.just(b"\r\n") | st.just(b"5\r\nhello\r\n"), max_size=8)


@given(pieces, st.lists(st.integers(0, 400), max_size=12))
def test_every_way_to_cut_gives_the_same_body_and_the_same_bytes(parts: list[bytes], cuts: list[int]) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    at = sorted({0, len(chunks), *(cut for cut in cuts if cut < len(chunks))})
    reader, upstream = answered([HEAD, *(chunks[a:b] for a, b in pairwise(at))])
    assert (reader.raw, reader.body, upstream.is_complete, reader.lost) == (chunks, b"".join(parts), True, "")


@given(pieces)
def test_a_read_for_each_chunk_gives_each_chunk(parts: list[bytes]) -> None:
    reads = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    reader, upstream = answered([HEAD, *reads, b"0\r\n\r\n"])
    assert (reader.body, upstream.is_complete) == (b"".join(parts), True)


def test_what_only_looks_like_a_chunk_is_refused() -> None:
    for bad in (b"0x5\r\nhello\r\n", b"+5\r\nhello\r\n", b" 5\r\nhello\r\n", b"5_\r\nhello\r\n"):
        reader, _ = answered([HEAD, bad])
        assert reader.lost.startswith("it answered something that is not HTTP"), bad
