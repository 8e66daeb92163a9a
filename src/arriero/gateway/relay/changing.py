"""A verb that changes what models there are: asked of every target that may be changed, answered as one.

Every one of them answers before the client has its answer; what streams gives the status lines of the target that is
least far. Nothing is tried again: each verb can be asked once more and does what is left to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from arriero.gateway.relay.warming import chunk
from arriero.gateway.telling.record import record_of
from arriero.gateway.wire.answers import Answer, error_answer, json_answer
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.headers import request_bytes
from arriero.gateway.wire.request import Request
from arriero.gateway.wire.sending import Sending
from arriero.gateway.wire.upstream import Upstream
from arriero.gateway.words.dialects import NATIVE, compact
from arriero.gateway.words.progress import Progress, least

if TYPE_CHECKING:
    from arriero.gateway.context import Context
    from arriero.gateway.routing.target import Target

# They answer with status lines; the others with an empty body.
PUSH = "/api/push"
TELLING = frozenset(("/api/pull", "/api/create", PUSH))
DELETE = "/api/delete"


class Changing:
    """The client connection's `Work`. One of `Context.open` until all targets are through."""

    def __init__(
        self, context: Context, client: ClientConnection, request: Request, model: str, targets: Sequence[Target]
    ) -> None:
        self._context, self._client, self.request = context, client, request
        self.record = record_of(request)
        self.record.model, self.record.received_bytes = model, len(request.body)
        self.record.attempts = len(targets)
        self._streams = request.path in TELLING and request.streams and not request.is_http_1_0
        self._told: bytes = b""
        context.open.add(self)
        self._parts = [Part(self, context, target) for target in targets]
        self._ask()

    def _ask(self) -> None:
        context, request = self._context, self.request
        for part in self._parts:
            home = context.upstreams.home(part.target.entry.address)
            context.upstreams.ask(home, request_bytes(request, home.name), part)

    # The client's calls

    def cancel(self) -> None:
        """The client has gone: Ollama stops pulling when nobody listens."""
        self._end_parts("the client has gone")
        self.record.outcome = "gone"
        self._over()

    def pause(self) -> None:
        """Lines are few; while the client reads none, none are written."""

    def resume(self) -> None:
        """The next line tells all that was left out."""

    # The gateway's calls

    def sweep(self, now: float) -> None:
        """Leaves a target that answers no more."""
        for part in self._parts:
            if part.target.state == "down" and now - part.heard_at > self._context.settings.limits.stall_seconds:
                part.fail("it answers no more")
        self.told()

    def stop(self, why: str) -> None:
        self._end_parts(why)
        self.told()

    # The parts' calls

    def told(self) -> None:
        """One of the targets said something, or is through."""
        if self not in self._context.open:
            return
        if all(part.is_over for part in self._parts):
            self._answer()
        elif self._streams and not self._client.is_blocked:
            line = least([part.progress for part in self._parts])
            text = compact(line) + b"\n" if line else b""
            if text and text != self._told:
                self._told = text
                self._write(text)

    def room(self) -> None:
        """A target takes more of a body."""

    # Its own steps

    def _answer(self) -> None:
        self._context.look_now.set()
        failed = [part for part in self._parts if not self._is_well(part)]
        message = "; ".join(f"at target {part.target.entry.id}: {part.progress.error}" for part in failed)
        if self.request.is_head_sent:
            self._write(compact({"error": message} if failed else {"status": "success"}) + b"\n")
            self._client.transport.write(b"0\r\n\r\n")
            self.record.judge(200)
            self.record.outcome = "failed" if failed else "answered"
            self._over()
            self._client.finish(self.request.close)
            return
        self._context.open.discard(self)
        self._client.answer(self._whole(failed, message), self.record)

    def _whole(self, failed: Sequence[Part], message: str) -> Answer:
        if failed:
            return error_answer(NATIVE, max(part.status if part.status >= 400 else 502 for part in failed), message)
        if self.request.path not in TELLING:
            return Answer(max((part.status for part in self._parts if part.status < 300), default=200), b"", b"")
        answer = json_answer({"status": "success"}, NATIVE)
        if self._streams:
            answer.content_type = NATIVE.stream_type
            answer.body += b"\n"
        return answer

    def _is_well(self, part: Part) -> bool:
        """What one target did not have to delete is no failure, if another had."""
        if not part.progress.error:
            return True
        is_gone_elsewhere = any(not other.progress.error for other in self._parts)
        return self.request.path == DELETE and part.status == 404 and is_gone_elsewhere

    def _write(self, text: bytes) -> None:
        head = b"" if self.request.is_head_sent else self._head()
        self.request.is_head_sent = True
        self.record.sent_bytes += len(text)
        self._client.transport.write(head + chunk(text))

    def _head(self) -> bytes:
        kind = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n" % NATIVE.stream_type
        return kind + self._client.headers_for(self.request) + self._client.closing_header(self.request) + b"\r\n"

    def _end_parts(self, why: str) -> None:
        for part in self._parts:
            part.fail(why)

    def _over(self) -> None:
        context = self._context
        if self in context.open:
            context.open.discard(self)
            self.record.seconds = context.now() - self.request.came_at
            context.finished(self.record)


class Part:
    """The `Receiver` of one target's answer."""

    def __init__(self, whole: Changing, context: Context, target: Target) -> None:
        self.target, self.progress, self.status, self.is_over = target, Progress(), 0, False
        self._whole, self._context = whole, context
        self._upstream: Upstream | None = None
        self.heard_at = context.now()
        # Of a body that is still coming; else nothing is ever sent by it.
        self.sending = Sending(whole.request, whole.room)

    def is_waiting(self) -> bool:
        return not self.is_over and self._upstream is None

    def on_connected(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.sending.to(upstream)

    def on_head(self, upstream: Upstream, rest: bytes) -> None:
        self.status = upstream.status
        self.on_data(upstream, rest)

    def on_data(self, upstream: Upstream, _: bytes) -> None:
        if self.is_over:
            return
        self.heard_at = self._context.now()
        is_last = upstream.is_complete
        self.progress.read(b"".join(upstream.pieces), is_last=is_last)
        if is_last:
            self.is_over, self._upstream = True, None
            self.sending.end()
            if self.status >= 400 and not self.progress.error:
                self.progress.error = f"it answered {self.status}"
            upstream.release()
        self._whole.told()

    def on_lost(self, why: str, _: bool) -> None:
        self._upstream = None
        self.fail(why)
        self._whole.told()

    def fail(self, why: str) -> None:
        if self.is_over:
            return
        upstream, self._upstream = self._upstream, None
        self.is_over = True
        self.progress.error = self.progress.error or why
        self.sending.end()
        if upstream is not None:
            upstream.close()
