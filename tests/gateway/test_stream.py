"""A stream at every split: nothing is lost or changed, and only a last record makes it complete."""

from __future__ import annotations

from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.gateway.relay.stream import Stream
from arriero.gateway.words.dialects import ANTHROPIC, NATIVE, OPENAI, RESPONSES, Dialect

NATIVE_LINES = [b'{"response":"[DONE] \\"done\\":true","done":false}\n', b'{"response":"b","done":false}\n']
LAST_LINE = b'{"done":true,"context":[%b]}\n' % b",".join([b"1"] * 50)
EVENTS = [b'data: {"choices":[{"delta":{"content":"[DONE]"}}]}\n\n', b'data: {"choices":[]}\n\n']
ANTHROPIC_EVENTS = [
    b'event: message_start\ndata: {"type":"message_start"}\n\n',
    b'event: ping\ndata: {"type":"ping"}\n\n',
]
RESPONSES_EVENTS = [b'event: response.created\ndata: {"type":"response.created"}\n\n'] * 2
STREAMS = {
    "native": (NATIVE, NATIVE_LINES, LAST_LINE),
    "openai": (OPENAI, EVENTS, b"data: [DONE]\n\n"),
    "responses": (RESPONSES, RESPONSES_EVENTS, b'event: response.completed\ndata: {"type":"response.completed"}\n\n'),
    "anthropic": (ANTHROPIC, ANTHROPIC_EVENTS, b'event: message_stop\ndata: {"type":"message_stop"}\n\n'),
}


class Decoder:
    """What a client makes of chunks."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_open = False
        self.is_complete = False
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def on_chunk_header(self) -> None:
        self.is_open = True

    def on_chunk_complete(self) -> None:
        self.is_open = False

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.is_complete = True


def through(dialect: Dialect, reads: list[bytes], is_lost: bool, is_chunked: bool = True) -> tuple[list[bytes], bool]:
    """What the client gets after each read, and whether the answer is whole."""
    stream, decoder, is_open = Stream(dialect, is_chunked), Decoder(), False
    sent = []
    for read in reads:
        decoder.pieces = []
        decoder.parser.feed_data(read)
        if decoder.is_complete:
            sent.append(stream.end(read, decoder.pieces))
            return ended(stream, sent)
        is_open = decoder.is_open or not read.endswith(b"\r\n")
        sent.append(stream.pass_on(read, decoder.pieces, not is_open))
        if stream.failure:
            return ended(stream, sent)
    assert is_lost
    return ended(stream, [*sent, stream.lose()])


def ended(stream: Stream, sent: list[bytes]) -> tuple[list[bytes], bool]:
    return (sent, True) if stream.is_complete else ([*sent, stream.cut("cut")], False)


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


def heard(sent: list[bytes]) -> bytes:
    client = Decoder()
    client.parser.feed_data(b"".join(sent))
    assert client.is_complete
    return b"".join(client.pieces)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % len(data) for cut in cuts if cut % len(data)}), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 5000), max_size=12), together=st.booleans())
def test_a_whole_stream_passes_at_any_split(name: str, cuts: list[int], together: bool) -> None:
    dialect, records, last = STREAMS[name]
    text = b"".join([*records, last])
    data = (chunk(text) if together else b"".join(map(chunk, [*records, last]))) + b"0\r\n\r\n"
    sent, is_whole = through(dialect, split(data, cuts), is_lost=False)
    assert (heard(sent), is_whole) == (text, True)
    bare, is_whole = through(dialect, split(data, cuts), is_lost=False, is_chunked=False)
    assert (b"".join(bare), is_whole) == (text, True)


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 5000), max_size=12), end=st.integers(0, 5000))
def test_a_stream_cut_anywhere_ends_with_an_error_after_whole_records(name: str, cuts: list[int], end: int) -> None:
    dialect, records, last = STREAMS[name]
    data = b"".join(map(chunk, [*records, last]))
    data = data[: end % (len(data) - len(chunk(last)) + 1)]
    sent, is_whole = through(dialect, split(data, cuts) if data else [], is_lost=True)
    text = heard(sent)
    kept = text.removesuffix(dialect.error_record("cut"))
    assert not is_whole
    assert text != kept
    assert kept in [b"".join(records[:count]) for count in range(len(records) + 1)]


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_in_step_passes_byte_for_byte(name: str) -> None:
    dialect, records, last = STREAMS[name]
    reads = [*map(chunk, [*records, last]), b"0\r\n\r\n"]
    assert through(dialect, reads, is_lost=False) == (reads, True)


@pytest.mark.parametrize("name", STREAMS)
def test_an_end_without_a_last_record_is_a_cut(name: str) -> None:
    dialect, records, _ = STREAMS[name]
    sent, is_whole = through(dialect, [*map(chunk, records), b"0\r\n\r\n"], is_lost=False)
    assert not is_whole
    assert heard(sent) == b"".join(records) + dialect.error_record("cut")


def test_a_last_record_before_a_broken_connection_is_an_end() -> None:
    sent, is_whole = through(NATIVE, [chunk(NATIVE_LINES[0]), chunk(LAST_LINE)], is_lost=True)
    assert (heard(sent), is_whole) == (NATIVE_LINES[0] + LAST_LINE, True)


def test_a_last_line_without_its_newline_still_counts_when_the_server_ends_well() -> None:
    sent, is_whole = through(NATIVE, [chunk(LAST_LINE.strip()), b"0\r\n\r\n"], is_lost=False)
    assert (heard(sent), is_whole) == (LAST_LINE.strip(), True)


def test_done_inside_a_tool_call_is_not_an_end() -> None:
    line = b'{"message":{"tool_calls":[{"function":{"arguments":{"done":true}}}]},"done":false}\n'
    _, is_whole = through(NATIVE, [chunk(line)], is_lost=True)
    assert not is_whole


FAILURES = {
    "native": (NATIVE, NATIVE_LINES, b'{"error":"unexpected EOF"}\n'),
    "openai": (OPENAI, EVENTS, b'data: {"error":{"message":"unexpected EOF","type":"api_error"}}\n\n'),
    "anthropic": (ANTHROPIC, ANTHROPIC_EVENTS, b'event: error\ndata: {"type":"error","error":{}}\n\n'),
    "responses": (RESPONSES, RESPONSES_EVENTS, b'event: error\ndata: {"type":"error","code":"x"}\n\n'),
}


@pytest.mark.parametrize("name", FAILURES)
@given(cuts=st.lists(st.integers(0, 5000), max_size=12), is_lost=st.booleans(), ends=st.booleans())
def test_an_error_of_the_target_is_held_back_and_told_at_the_end(
    name: str, cuts: list[int], is_lost: bool, ends: bool
) -> None:
    dialect, records, failure = FAILURES[name]
    data = b"".join(map(chunk, [*records, failure if ends or is_lost else failure.rstrip()]))
    sent, is_whole = through(dialect, split(data + (b"" if is_lost else b"0\r\n\r\n"), cuts), is_lost)
    assert not is_whole
    assert heard(sent).rstrip() == (b"".join(records) + failure).rstrip()
    assert failure.rstrip() not in b"".join(sent[:-1])


def test_an_error_inside_a_tool_call_is_none() -> None:
    line = b'{"message":{"tool_calls":[{"function":{"arguments":{"error":true}}}]},"done":false}\n'
    sent, is_whole = through(NATIVE, [chunk(line), chunk(LAST_LINE), b"0\r\n\r\n"], is_lost=False)
    assert (heard(sent), is_whole) == (line + LAST_LINE, True)
