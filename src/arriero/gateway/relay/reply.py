"""What the client gets of one request's answer: the head, the body as it comes, and an end that tells the truth.

An answer that another target carries on stays one reply: `go_on` says from where its records come then.
"""

from __future__ import annotations

from collections.abc import Callable

from arriero.gateway.relay import warming
from arriero.gateway.relay.continuation import NativeAnswer, OpenAIAnswer
from arriero.gateway.relay.kept import FOLD_AT
from arriero.gateway.relay.stream import Stream
from arriero.gateway.telling.record import Record
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.express import Express
from arriero.gateway.wire.request import Request
from arriero.gateway.wire.upstream import Upstream
from arriero.gateway.words import usage

# An answer of more tokens has a text.
EMPTY_TOKENS = 1


class Reply:
    """`stream` is None for an answer that is none; `has_begun` once there is a head."""

    __slots__ = (
        "_client",
        "_express",
        "_head",
        "_is_bare",
        "_reads",
        "_record",
        "_request",
        "_rest",
        "_runs",
        "_tail",
        "_whole",
        "has_begun",
        "stream",
    )

    def __init__(self, client: ClientConnection, request: Request, record: Record, runs: bool) -> None:
        self._client, self._request, self._record, self._runs = client, request, record, runs
        self.stream: Stream | None = None
        self._express: Express | None = None
        self._rest: NativeAnswer | OpenAIAnswer | None = None
        self._head = self._tail = b""
        self._is_bare = self.has_begun = False
        self._reads = 0
        self._whole: bytearray | None = None

    def begin(self, upstream: Upstream, names: bytes, now: float) -> None:
        """Makes the head, with what the gateway adds (`names`: the target's). It waits for the body, or for `flush`."""
        request, client, dialect = self._request, self._client, self._request.dialect
        self.has_begun = True
        self._record.judge(upstream.status)
        self._record.first_byte_seconds = now - request.came_at
        if request.warming is not None:
            request.warming.stop()
        if request.is_head_sent:
            self._begin_late(upstream)
            return
        is_chunked = upstream.is_chunked and not request.is_http_1_0
        self._is_bare = upstream.is_chunked and not is_chunked
        if not upstream.has_length and upstream.head.media_type == dialect.stream_type:
            self.stream = Stream(dialect, is_chunked, request.path)
            self._record.is_stream = True
        request.close = request.close or self._is_bare or upstream.ends_with_connection
        more = client.headers_for(request) + names + self._headers() + client.closing_header(request)
        self._head = upstream.head.encode(more, is_chunked)

    def _begin_late(self, upstream: Upstream) -> None:
        """The head went out while the client waited: a stream goes on in it, anything else becomes its last record."""
        if not upstream.has_length and self.can_go_on_with(upstream):
            self.stream = Stream(self._request.dialect, True, self._request.path, upstream.is_chunked)
            self._record.is_stream = True
        else:
            self._whole = bytearray()

    def can_go_on_with(self, upstream: Upstream) -> bool:
        """Whether this is a stream of the kind that began."""
        return upstream.status == 200 and upstream.head.media_type == self._request.dialect.stream_type

    def go_on(self, rest: NativeAnswer | OpenAIAnswer) -> None:
        """From now on the records come from another target."""
        self._rest = rest
        self._record.migrations = 1

    def pass_on(self, upstream: Upstream, data: bytes) -> bool:
        """A read that does not end the answer; False when the target told an error in it."""
        stream = self.stream
        self._reads += 1
        if stream is None:
            self._write(self._plain(upstream, data))
            return True
        if self._rest is None:
            self._write(stream.pass_on(data, upstream.pieces, upstream.is_at_chunk_end))
            upstream.express = self._short_way(stream, upstream) if stream.is_in_step else None
        else:
            self._write(self._records(stream, self._rest, upstream.pieces))
        return not stream.failure

    def finish(self, upstream: Upstream, data: bytes) -> bool:
        """The last read; True when the answer is whole."""
        stream = self.stream
        if stream is None:
            self._write(self._plain(upstream, data))
            if self._whole is not None:
                self._write(warming.rest(self._request.dialect, upstream.status, bytes(self._whole)))
            return True
        if self._rest is None:
            self._write(stream.end(data, upstream.pieces))
            return stream.is_complete
        self._write(self._records(stream, self._rest, upstream.pieces))
        if self._rest.is_complete:
            self._write(stream.close())
        return self._rest.is_complete

    @property
    def reads(self) -> int:
        """How often something came, by either way."""
        return self._reads + (self._express.reads if self._express is not None else 0)

    def flush(self) -> None:
        """Sends the head if nothing has come after it."""
        if self._head:
            self._write(b"")

    def is_whole(self) -> bool:
        """Whether the last record was passed on: then it does not matter how the connection ended."""
        stream = self.stream
        if stream is None:
            return False
        if self._rest is not None:
            return self._rest.is_complete
        if not stream.is_complete:
            stream.lose()
        return stream.is_complete

    def cut(self, message: str) -> bool:
        """Ends it after a target that broke off, with `message` if it is not whole; says whether it is."""
        stream = self.stream
        if stream is None:
            return False
        is_whole = self.is_whole()
        self._write(stream.close() if is_whole else stream.cut(message))
        return is_whole

    def settle(self) -> None:
        """Bytes and tokens into the record: as the answer's last records say, or where they don't, a token a record."""
        if self._express is not None:
            self._record.sent_bytes += self._express.sent_bytes
        record, kept = self._record, self.stream.kept if self.stream is not None else None
        found = usage.read(kept.tail() if kept is not None and self._rest is None else self._tail)
        record.tokens_in, record.load_seconds = found.tokens_in, found.load_seconds
        record.tokens_out = found.tokens_out
        if not record.tokens_out and kept is not None:
            record.tokens_out = kept.said() if self._rest is None else self._rest.tokens
        if record.tokens_out <= EMPTY_TOKENS and self._rest is None:
            record.is_empty = kept.is_empty() if kept is not None else usage.says_nothing(self._tail)

    def _headers(self) -> bytes:
        record = self._record
        figures = record.attempts, round(record.queue_seconds * 1000)
        return b"X-Arriero-Attempts: %d\r\nX-Arriero-Queue-Ms: %d\r\n" % figures

    def _plain(self, upstream: Upstream, data: bytes) -> bytes:
        """A read of a body that is no stream. Its end is remembered for the figures in it."""
        if not self._is_bare and not self._runs:
            return data
        body = b"".join(upstream.pieces)
        if self._whole is not None:
            self._whole += body
            data = b""
        self._tail = (self._tail + body)[-usage.TAIL_BYTES :]
        return body if self._is_bare else data

    def _records(self, stream: Stream, rest: NativeAnswer | OpenAIAnswer, pieces: list[bytes]) -> bytes:
        records = rest.take(b"".join(pieces))
        self._tail = records or self._tail
        stream.failure = rest.failure or stream.failure
        return stream.add(records)

    def _short_way(self, stream: Stream, upstream: Upstream) -> Callable[[bytes], bool] | None:
        """For reads that begin as this one, which tells no error."""
        if self._express is None:
            dialect, kept, pieces = self._request.dialect, stream.kept, upstream.pieces
            beginning = pieces[0][: len(dialect.error_mark)] if pieces else dialect.error_mark
            if dialect.error_mark.startswith(beginning):
                return None
            write = self._client.transport.write
            self._express = Express(write, kept.pieces, beginning, dialect.end_of_record, kept.fold, FOLD_AT)
            upstream.acknowledge_less()
        return self._express.take

    def _write(self, data: bytes) -> None:
        if self._head:
            # With the first of the body in one system call: that is a fifth of a small request's cost.
            data, self._head = self._head + data, b""
        if data:
            self._record.sent_bytes += len(data)
            self._client.transport.write(data)
