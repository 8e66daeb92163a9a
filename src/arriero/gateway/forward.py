"""One request on its way through a target: sent, and its answer passed on byte for byte.

Before the first byte of an answer went to the client, a target that breaks or fails is left for another one, at most
`attempts` in all. After it, a stream that breaks ends with an explicit error record, and any other body is cut off so
that the client sees it is not whole. Nothing here waits: every step is one call of the event loop.
"""

from __future__ import annotations

from collections.abc import Collection

from arriero.gateway.answers import Answer, error_answer
from arriero.gateway.connection import ClientConnection
from arriero.gateway.context import Context
from arriero.gateway.headers import media_type, request_bytes, response_head
from arriero.gateway.record import Outcome, Record, record_of
from arriero.gateway.request import Request
from arriero.gateway.stream import Stream
from arriero.gateway.target import Target
from arriero.gateway.upstream import CLOSED, Upstream

_FAILED = frozenset((500, 502, 503, 504))


class Exchange:
    """A request, the target it is at, and how far its answer has come. It is the client connection's `Work`.

    `runs` says that the model has to be in memory for it; `record` and `tried` are what former targets left.
    """

    __slots__ = (
        "_client", "_context", "_head", "_is_bare", "_is_head_out", "_model", "_quiet_since", "_reads", "_reads_before",
        "_record", "_request", "_runs", "_sent_at", "_stream", "_target", "_tried", "_upstream",
    )  # fmt: skip

    def __init__(
        self,
        context: Context,
        client: ClientConnection,
        request: Request,
        model: str | None,
        runs: bool,
        target: Target,
        record: Record | None = None,
        tried: Collection[str] = (),
    ) -> None:
        self._context, self._client, self._request = context, client, request
        self._model, self._runs = model, runs
        self._target = target
        self._tried: list[str] = list(tried)
        self._upstream: Upstream | None = None
        self._stream: Stream | None = None
        self._head = b""
        self._is_head_out = self._is_bare = False
        self._reads = self._reads_before = 0
        self._sent_at = self._quiet_since = 0.0
        self._record = record or record_of(request)
        self._record.model = model or ""
        self._record.received_bytes = len(request.body)
        context.open.add(self)
        self._send_to(target)

    # The client's calls

    def cancel(self) -> None:
        """The client has gone."""
        if self._upstream is not None:
            self._upstream.close()
        self._over("gone")

    def pause(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.pause_reading()

    def resume(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.resume_reading()

    # The target's calls

    def is_waiting(self) -> bool:
        return self in self._context.open and self._upstream is None

    def on_connected(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def on_head(self, upstream: Upstream, rest: bytes) -> None:
        status = upstream.status
        if status in _FAILED:
            self._target.cool(self._context.now())
        if (status in _FAILED or status == 404) and (other := self._another()):
            self._leave("status")
            self._send_to(other)
            return
        self._begin(upstream)
        if rest or upstream.is_complete:
            self.on_data(upstream, rest)
        if self._head:
            self._write(b"")

    def on_data(self, upstream: Upstream, data: bytes) -> None:
        self._reads += 1
        if upstream.is_complete:
            self._complete(upstream, data)
        elif self._stream is not None:
            self._write(self._stream.pass_on(data, upstream.pieces, upstream.is_at_chunk_end))
        else:
            self._write(b"".join(upstream.pieces) if self._is_bare else data)

    def on_lost(self, why: str, was_reached: bool) -> None:
        if self._is_head_out:
            self._end_early(why)
            return
        was_kept = self._upstream is not None and self._upstream.is_reused
        turn = self._target.missed(why) if was_reached else self._target.broke(why)
        self._context.tell([turn])
        self._context.look_now.set()
        other = self._another()
        if other is None and was_kept and self._may_try_again:
            # It may just have closed a connection that rested too long.
            other = self._target
        self._leave("broke" if was_reached else "unreachable")
        if other is None:
            self._answer(error_answer(self._request.dialect, 502, f"the server broke off before it answered: {why}"))
        else:
            self._send_to(other)

    # The clock's call

    def sweep(self, now: float) -> None:
        """Leaves a target that answers no more."""
        limits = self._context.settings.limits
        if self._reads != self._reads_before or self._client.is_blocked:
            self._reads_before, self._quiet_since = self._reads, now
        if self._upstream is None:
            return
        if self._target.state == "down" and now - self._quiet_since > limits.stall_seconds:
            self._upstream.close()
            self.on_lost("it answers no more", True)
        elif not self._is_head_out and now - self._sent_at > limits.first_byte_seconds:
            # Not tried again: what waited this long in one queue would only fill another.
            self._upstream.close()
            self._leave("late")
            message = f"no answer began within {limits.first_byte_seconds:g} s"
            self._answer(error_answer(self._request.dialect, 504, message))

    def stop(self, why: str) -> None:
        """Ends it now, as if the target had broken off and no other were left."""
        self._tried += [target.entry.id for target in self._context.pool]
        if self._upstream is not None:
            self._upstream.close()
        self.on_lost(why, True)

    # Its own steps

    @property
    def _may_try_again(self) -> bool:
        return len(self._tried) < self._context.settings.limits.attempts

    def _another(self) -> Target | None:
        if not self._may_try_again:
            return None
        found = self._context.pool.find(self._model, self._runs, self._tried, self._context.now())
        return found if isinstance(found, Target) else None

    def _send_to(self, target: Target) -> None:
        self._target = target
        self._tried.append(target.entry.id)
        self._upstream = None
        self._sent_at = self._quiet_since = self._context.now()
        self._record.found = target.take(self._model if self._runs else None, self._sent_at)
        self._record.target, self._record.site = target.entry.id, target.entry.site
        self._record.attempts = len(self._tried)
        home = self._context.upstreams.home(target.entry.address)
        self._context.upstreams.ask(home, request_bytes(self._request, home.name), self)

    def _leave(self, result: str) -> None:
        """Gives back the place at the target."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None and result == "status":
            upstream.close()
        self._target.give_back(self._model if self._runs else None)
        self._context.gave_back(self._target)
        self._context.metrics.count_attempt(result)

    def _begin(self, upstream: Upstream) -> None:
        """Makes the head, with what the gateway adds; from here on there is no other target."""
        request, client, dialect = self._request, self._client, self._request.dialect
        now = self._context.now()
        self._is_head_out = True
        self._record.judge(upstream.status)
        self._record.first_byte_seconds = now - request.came_at
        if upstream.status == 200 and self._runs and self._model:
            self._target.served(self._model)
        is_chunked = upstream.is_chunked and not request.is_http_1_0
        self._is_bare = upstream.is_chunked and not is_chunked
        if not upstream.has_length and media_type(upstream.head_lines) == dialect.stream_type:
            self._stream = Stream(dialect, is_chunked)
            self._record.is_stream = True
        request.close = request.close or self._is_bare or upstream.ends_with_connection
        more = client.headers_for(request) + self._headers() + client.closing_header(request)
        self._head = response_head(upstream.head_lines, more, is_chunked)
        if client.is_blocked:
            self.pause()

    def _headers(self) -> bytes:
        entry, queue_ms = self._target.entry, self._record.queue_seconds * 1000
        names = f"X-Arriero-Site: {entry.site}\r\nX-Arriero-Target: {entry.id}\r\n"
        return f"{names}X-Arriero-Attempts: {len(self._tried)}\r\nX-Arriero-Queue-Ms: {queue_ms:.0f}\r\n".encode()

    def _complete(self, upstream: Upstream, data: bytes) -> None:
        """The target has sent its last byte."""
        is_whole = True
        if self._stream is not None:
            data, is_whole = self._stream.end(data, upstream.pieces, self._cut_message("it ended the stream too early"))
        elif self._is_bare:
            data = b"".join(upstream.pieces)
        self._upstream = None
        upstream.release()
        self._write(data)
        self._end(is_whole)

    def _end_early(self, why: str) -> None:
        """The target broke off after the head."""
        upstream, is_whole = self._upstream, False
        self._upstream = None
        if upstream is not None and upstream.ends_with_connection and self._stream is None:
            is_whole = why == CLOSED
        elif self._stream is not None:
            rest, is_whole = self._stream.lose(self._cut_message(why))
            self._write(rest)
        else:
            self._over("cut")
            self._client.abort()
            return
        self._end(is_whole)

    def _end(self, is_whole: bool) -> None:
        close = self._request.close
        self._over(self._record.outcome if is_whole else "cut")
        self._client.finish(close)

    def _answer(self, answer: Answer) -> None:
        """Answers here, in place of the target; the place there has been given back."""
        self._context.open.discard(self)
        self._client.answer(answer, self._record)

    def _over(self, outcome: Outcome) -> None:
        self._context.open.discard(self)
        self._target.give_back(self._model if self._runs else None)
        self._context.gave_back(self._target)
        self._context.metrics.count_attempt("answered" if outcome in ("answered", "refused") else outcome)
        self._record.outcome = outcome
        self._record.seconds = self._context.now() - self._request.came_at
        self._context.finished(self._record)

    def _cut_message(self, why: str) -> str:
        entry = self._target.entry
        return f"the stream broke off at target {entry.id} of site {entry.site}: {why}; the text so far is not complete"

    def _write(self, data: bytes) -> None:
        if self._head:
            # With the first of the body in one system call: that is a fifth of a small request's cost.
            data, self._head = self._head + data, b""
        if data:
            self._record.sent_bytes += len(data)
            self._client.transport.write(data)
