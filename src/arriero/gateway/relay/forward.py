"""One request on its way through a target: sent, and its answer passed on byte for byte.

Before the first byte of an answer went to the client, a target that breaks or fails is left for another one, at most
`attempts` in all. After it, a stream that breaks is carried on by another target, once (carry.py says when that is
right); else it ends with an explicit error record, and any other body is cut off so that the client sees it is not
whole. A target is always left before the next one is asked. Nothing here waits: every step is one call of the event
loop; only an answer that waits for a place to go on has a timer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from arriero.gateway.context import Context
from arriero.gateway.relay.blame import FAILED, REFUSED, Blame, blame, died, has_killed, no_answer, survived
from arriero.gateway.relay.carry import CannotCarry, Carry
from arriero.gateway.relay.continuation import Spent
from arriero.gateway.relay.migration import elsewhere, way_on
from arriero.gateway.relay.reply import Reply
from arriero.gateway.relay.stream import Stream
from arriero.gateway.routing.pool import Without
from arriero.gateway.routing.target import Target
from arriero.gateway.telling.record import Outcome, Record, record_of
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.headers import request_bytes
from arriero.gateway.wire.request import Request
from arriero.gateway.wire.upstream import CLOSED, Upstream

# A kept connection that breaks this soon had rested too long; the request was not even read.
STALE_SECONDS = 0.1
# How often an answer that waits for a place to go on looks for one, and how long it does.
LOOK_SECONDS, PLACE_SECONDS = 0.05, 30.0
# Without a byte from a target that is down: a site behind a cut line is to be left within five seconds of the cut.
LEFT_SECONDS = 3.0


class Exchange:
    """A request, the target it is at, and how far its answer has come. It is the client connection's `Work`.

    `runs` says that the model has to be in memory for it; `record` and `tried` are what former targets left.
    """

    __slots__ = (
        "_carry", "_carry_tries", "_client", "_context", "_cut_at", "_has_place", "_is_answering", "_model",
        "_quiet_since", "_reads_before", "_reply", "_request", "_runs", "_sent_at", "_target",
        "_timer", "_tried", "_unreached", "_upstream", "record",
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
        self._carry: Carry | None = None
        self._carry_tries = self._unreached = 0
        self._timer: asyncio.TimerHandle | None = None
        # The answer to what was asked last has begun; the target's place is taken.
        self._is_answering = self._has_place = False
        self._reads_before = 0
        self._sent_at = self._quiet_since = self._cut_at = 0.0
        self.record = record or record_of(request)
        self.record.model = model or ""
        self.record.received_bytes = len(request.body)
        self._reply = Reply(client, request, self.record, runs)
        if not tried:
            context.budget.save()
        context.open.add(self)
        self._send_to(target)

    # The client's calls

    def cancel(self) -> None:
        """The client has gone."""
        if self not in self._context.open:
            return
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
        if status in REFUSED and self._was_refused(upstream):
            return
        if self._target.cooling_until and status not in FAILED:
            self._target.recovered(self._sent_at)
        if self._carry is None:
            self._begin(upstream)
        elif not self._begin_rest(upstream, self._carry):
            return
        if rest or upstream.is_complete:
            self.on_data(upstream, rest)
        self._reply.flush()

    def on_data(self, upstream: Upstream, data: bytes) -> None:
        if not upstream.is_complete:
            if not self._reply.pass_on(upstream, data):
                self._end_early("it told an error", True)
        elif self._reply.finish(upstream, data):
            self._upstream = None
            upstream.release()
            self._end(True)
        else:
            self._end_early("it ended the stream too early", True)

    def on_lost(self, why: str, was_reached: bool) -> None:
        if self._is_answering:
            self._end_early(why, why.startswith(CLOSED))
            return
        was_kept = self._upstream is not None and self._upstream.is_reused
        is_stale = was_kept and self._context.now() - self._sent_at < STALE_SECONDS
        self._context.tell([self._target.missed(why) if was_reached else self._target.broke(why)])
        self._context.look_now.set()
        self._unreached += not was_reached
        if was_reached and not (is_stale and self._carry):
            self._died()
        self._fail("broke" if was_reached else "unreachable", why, may_stay=is_stale)

    # The clock's call

    def sweep(self, now: float) -> None:
        """Leaves a target that answers no more."""
        limits = self._context.settings.limits
        reads = self._reply.reads
        if reads != self._reads_before or self._client.is_blocked:
            self._reads_before, self._quiet_since = reads, now
        if self._upstream is None:
            return
        if self._target.state == "down" and now - self._quiet_since > min(limits.stall_seconds, LEFT_SECONDS):
            self._upstream.close()
            if self._is_answering:
                self._end_early("it answers no more", False)
            else:
                self._fail("broke", "it answers no more")
        elif self._is_answering and now - self._quiet_since > limits.quiet_seconds:
            self._quiet_since = now
            self._leave_quiet(f"it told nothing for {limits.quiet_seconds:g} s")
        elif not self._is_answering and now - self._sent_at > limits.first_byte_seconds:
            self._upstream.close()
            # What missed it in the target's own queue would only fill another.
            was_in_queue = self._target.in_flight > self._target.slots
            self._fail("late", f"no answer began within {limits.first_byte_seconds:g} s", may_retry=not was_in_queue)

    def stop(self, why: str) -> None:
        """Ends it now, as if the target had broken off and no other were left."""
        if self._upstream is not None:
            self._upstream.close()
        if self._reply.has_begun:
            self._cut(why)
        else:
            self._give_up("broke", why)

    # Before an answer begins

    def _send_to(self, target: Target) -> None:
        self._target = target
        self._tried.append(target.entry.id)
        self._upstream, self._is_answering = None, False
        self._sent_at = self._quiet_since = self._context.now()
        self._has_place = True
        self.record.found = target.take(self._model if self._runs else None, self._sent_at)
        self.record.went_to(target, self._request.mark)
        if self._carry is None:
            self.record.attempts = len(self._tried)
        home = self._context.upstreams.home(target.entry.address)
        self._context.upstreams.ask(home, request_bytes(self._request, home.name, self._carry), self)

    def _leave(self, result: str) -> None:
        """Gives back the place at the target."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None and result in ("status", "full"):
            upstream.close()
        self._has_place = False
        self._target.give_back(self._model if self._runs else None, self._is_answering)
        self._context.gave_back(self._target)
        self._context.left(self._target, result)

    def _was_refused(self, upstream: Upstream) -> bool:
        """Whether the refusal is settled: tried elsewhere, or told. False: pass the answer on as it is."""
        why = blame(upstream.status, upstream.head.known, b"".join(upstream.pieces))
        if why is Blame.FULL and self._runs and (self._carry is not None or self._context.queue is not None):
            self._leave("full")
            self._target.was_full()
            self._tried.pop()
            self._wait_for_place()
            return True
        if why is Blame.PATH:
            self._fail("status", f"no target's Ollama knows {self._request.path}: it needs a newer version")
            return True
        if why in (Blame.TARGET, Blame.RUNNER):
            self._target.cool(self._context.now())
        if why is Blame.RUNNER:
            self._died()
        if why is not Blame.REQUEST and self._try_elsewhere("status", False):
            return True
        if self._carry is None:
            return False
        self._leave("status")
        self._cut(f"it could not go on there either (status {upstream.status})")
        return True

    def _try_elsewhere(self, result: str, may_stay: bool) -> bool:
        """Leaves the target for another, if there is one, and attempts and budget allow it."""
        # Where nobody was reached nothing was begun: that is no attempt. A site that is gone has many such targets.
        limit = self._context.settings.limits.attempts + self._unreached
        tries = self._carry_tries if self._carry is not None else len(self._tried)
        if tries >= limit or has_killed(self._context.quarantine, self._request, self.record):
            return False
        other = self._another()
        if other is Without.CHOICE and may_stay:
            other = self._target
        if not isinstance(other, Target) and other is not Without.PLACE:
            return False
        if result != "unreachable" and not self._context.budget.spend(self._context.now()):
            return False
        self._leave(result)
        self._go_to(other)
        return True

    def _another(self) -> Target | Without:
        if self._model and (self._carry is not None or (self._runs and self.record.deaths)):
            return elsewhere(self._context, self._target, self._model, self._tried, self._carry is not None)
        return self._context.pool.find(self._model, self._runs, self._tried, self._context.now())

    def _go_to(self, other: Target | Without) -> None:
        if isinstance(other, Target):
            self._carry_tries += self._carry is not None
            self._send_to(other)
        else:
            self._wait_for_place()

    def _wait_for_place(self) -> None:
        """The place at the former target has been given back."""
        context = self._context
        if self._carry is None:
            context.open.discard(self)
            context.requeue(self._client, self._request, self._model or "", self.record, tuple(self._tried))
        elif context.now() - self._cut_at > PLACE_SECONDS:
            self._cut(f"no target had a place within {PLACE_SECONDS:g} s")
        else:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_for_place)

    def _look_for_place(self) -> None:
        other = self._another()
        if isinstance(other, Target) or other is Without.PLACE:
            self._go_to(other)
        else:
            self._cut(f"no target {other.value}")

    def _died(self) -> None:
        died(self._context.quarantine, self._request, self.record, self._sent_at, self._context.now())

    def _fail(self, result: str, why: str, may_stay: bool = False, may_retry: bool = True) -> None:
        """No answer will begin at this target."""
        if not (may_retry and self._try_elsewhere(result, may_stay)):
            self._give_up(result, why)

    def _give_up(self, result: str, why: str) -> None:
        """No answer began, and no other target may be asked."""
        self._leave(result)
        if self._carry is not None:
            self._cut(why)
        else:
            self._context.open.discard(self)
            self._client.answer(no_answer(self._request.dialect, result, why, self.record.deaths), self.record)

    # The answer

    def _begin(self, upstream: Upstream) -> None:
        """From here on only a stream can go on elsewhere."""
        self._is_answering = True
        if self._runs and self._model:
            self._target.begins(self._model, upstream.status == 200)
        self._reply.begin(upstream, self._target.names, self._context.now())
        if self._client.is_blocked:
            self.pause()

    def _begin_rest(self, upstream: Upstream, carry: Carry) -> bool:
        """The rest of a cut answer begins to come, if it is what was asked for."""
        if not self._reply.can_go_on_with(upstream):
            self._leave("status")
            self._cut(f"it could not go on there (status {upstream.status})")
            return False
        self._is_answering = True
        self._reply.go_on(carry.answer)
        self._target.begins(self._model or "")
        if self._client.is_blocked:
            self.pause()
        return True

    # An answer that is cut

    def _end_early(self, why: str, is_death: bool) -> None:
        """The target broke off in the answer."""
        upstream, self._upstream = self._upstream, None
        ends_so = upstream is not None and upstream.ends_with_connection and why == CLOSED
        if upstream is not None:
            upstream.close()
        stream = self._reply.stream
        if stream is None and ends_so:
            self._end(True)
        elif stream is None or self._reply.is_whole():
            self._cut(why)
        else:
            self._context.look_now.set()
            if is_death:
                self._died()
            self._go_on(stream, why)

    def _go_on(self, stream: Stream, why: str) -> None:
        """Has the rest told by another target, or ends the stream with the reason why not."""
        if has_killed(self._context.quarantine, self._request, self.record):
            self._cut(f"{why}, the second that ended under this request")
            return
        try:
            carry, other = self._rest(stream)
        except CannotCarry as reason:
            self._cut(f"{why}; it can't go on elsewhere: {reason}")
            return
        self._leave("cut")
        self._carry, self._cut_at = carry, self._context.now()
        self._go_to(other)

    def _rest(self, stream: Stream) -> tuple[Carry, Target | Without]:
        """What to ask for, and where; raises CannotCarry."""
        if self._carry is not None or self._model is None or not self._runs:
            raise CannotCarry("it has been carried on once" if self._carry else "it is not known what runs it")
        now, first = self._context.now(), self.record.first_byte_seconds or 0.0
        passed = now - self._request.came_at - first
        spent = Spent(round((now - self._sent_at) * 1e9), round(passed * 1e9))
        return way_on(self._context, self._request, stream, self._target, self._model, self._tried, spent)

    def _leave_quiet(self, why: str) -> None:
        """The target answers probes, but this stream stands still: left only if another can go on."""
        stream = self._reply.stream
        if stream is None or stream.has_last_record:
            return
        with contextlib.suppress(CannotCarry):
            self._rest(stream)
            self._end_early(why, False)

    def _cut(self, why: str) -> None:
        """Ends the answer as it is; never as if complete when it is not."""
        entry = self._target.entry
        where = f"the stream broke off at target {entry.id} of site {entry.site}"
        is_whole = self._reply.cut(f"{where}: {why}; the text so far is not complete")
        if self._reply.stream is not None:
            self._end(is_whole)
        else:
            self._over("cut")
            self._client.abort()

    # The end

    def _end(self, is_whole: bool) -> None:
        close = self._request.close
        self._over(self.record.outcome if is_whole else "cut")
        self._client.finish(close)

    def _over(self, outcome: Outcome) -> None:
        self._context.open.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._has_place:
            self._leave("answered" if outcome in ("answered", "refused") else outcome)
        if self._runs and self._reply.has_begun:
            self._reply.settle()
        self.record.outcome = outcome
        self.record.seconds = self._context.now() - self._request.came_at
        if outcome == "answered":
            survived(self._context.quarantine, self._request, self._context.now())
        self._context.finished(self.record)
