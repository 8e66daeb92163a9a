"""Chunks of a target's answer give the same body and the same bytes, however they are cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from arriero.gateway.wire.express import Express, Passthrough
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


class ExpressReader(Reader):
    """Sends what it can the short way, as a stream does whose records are lines with that beginning."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__()
        self.kept: list[bytes] = []
        self.folded: list[bytes] = []
        self.express = Express(self.take, self.kept, beginning, b"\n", self.fold, 3)

    def take(self, data: bytes) -> None:
        self.raw += data

    def fold(self) -> None:
        self.folded += self.kept
        self.kept.clear()

    def on_data(self, upstream: Upstream, data: bytes) -> None:
        super().on_data(upstream, data)
        self.kept += upstream.pieces
        upstream.express = self.express.take


records = (b"a\n", b"bad\n", b"no end", b"\r\n\n", b"5\r\nhell\n\r\n\n", b"x" * 300 + b"\n")
lines = st.lists(st.sampled_from(records), max_size=9)


@given(lines, st.lists(st.integers(0, 900), max_size=12), st.booleans(), st.sampled_from((b"", b"a", b"x" * 9)))
def test_the_short_way_gives_what_the_long_way_gives(
    parts: list[bytes], cuts: list[int], is_whole: bool, beginning: bytes
) -> None:
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts] + [b"0\r\n\r\n"]
    stream = b"".join(chunks)
    at = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reads = chunks if is_whole else [stream[a:b] for a, b in pairwise(at)]
    reader, upstream = ExpressReader(beginning), Upstream(Home("127.0.0.1:1"))
    upstream.connection_made(cast(asyncio.BaseTransport, Silent()))
    upstream.ask(b"", reader)
    for read in (HEAD, *reads):
        upstream.data_received(read)
    assert (reader.raw, b"".join(reader.folded + reader.kept)) == (stream, b"".join(parts))
    assert (upstream.is_complete, reader.lost) == (True, "")


def test_only_whole_chunks_of_whole_records_take_the_short_way() -> None:
    reader = ExpressReader(b"a")
    for chunk in (b"2\r\na\n\r\n", b"12d\r\na" + b"x" * 299 + b"\n\r\n"):
        assert reader.express.take(chunk)
    others = (
        b"0\r\n\r\n", b"02\r\na\n\r\n", b"+2\r\na\n\r\n", b"0x2\r\na\n\r\n", b"1_0\r\n" + b"a" * 15 + b"\n\r\n",
        b"2\r\na\n\r\n2\r\nb\n\r\n", b"3\r\na\n\r\n", b"2\r\nab\r\n", b"4\r\nbad\n\r\n", b"2\r\nb\n\r\n",
        b"2000\r\n" + b"a" * 8191 + b"\n\r\n", b"\r\n\n\r\n", b"",
    )  # fmt: skip
    assert [chunk for chunk in others if reader.express.take(chunk)] == []
    assert (reader.express.reads, reader.express.sent_bytes, reader.raw) == (
        2,
        315,
        b"2\r\na\n\r\n12d\r\na" + b"x" * 299 + b"\n\r\n",
    )


def test_who_keeps_nothing_lets_every_whole_chunk_through_and_remembers_the_last() -> None:
    sent: list[bytes] = []
    way = Passthrough(sent.append)
    chunks = [b"2\r\na\n\r\n", b"3\r\nabc\r\n"]
    assert all(way.take(chunk) for chunk in chunks)
    others = (
        b"0\r\n\r\n",
        b"02\r\na\n\r\n",
        b"3\r\na\n\r\n",
        b"2\r\na\n\r\n2\r\nb\n\r\n",
        b"2000\r\n" + b"a" * 8192 + b"\r\n",
        b"",
    )
    assert [chunk for chunk in others if way.take(chunk)] == []
    assert (sent, way.last) == (chunks, chunks[-1])
