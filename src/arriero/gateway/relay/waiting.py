"""Requests that wait for a place at a target, and how each goes on: a place, a deadline, or a client that has gone.

Who runs: the event loop only. A waiting request holds one timer, and one more looks after all of them while any waits;
a request that finds a free place never comes here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from typing import cast

from arriero.gateway.context import Context
from arriero.gateway.relay.forward import Exchange
from arriero.gateway.relay.warming import start_if_asked
from arriero.gateway.routing.admission import Admission, Refused
from arriero.gateway.routing.pool import Without
from arriero.gateway.routing.target import Target
from arriero.gateway.telling.record import Record
from arriero.gateway.wire.answers import Answer, error_answer
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.request import Request

DEADLINE_HEADER = b"x-arriero-deadline-ms"
LOOK_SECONDS = 0.5
# Where neighbours free places too.
SHARED_LOOK_SECONDS = 0.02
LONGEST_RETRY_SECONDS = 300


class Waiting:
    """One request in a line; the client connection's `Work` until it gets a place."""

    __slots__ = (
        "_client",
        "_queue",
        "_record",
        "_timer",
        "hopeless_since",
        "is_over",
        "key",
        "mark",
        "model",
        "request",
        "since",
        "tried",
    )

    def __init__(
        self,
        queue: Queue,
        client: ClientConnection,
        request: Request,
        model: str,
        record: Record,
        tried: Collection[str] = (),
    ) -> None:
        self._queue, self._client, self._record = queue, client, record
        self.request, self.model, self.key, self.mark, self.tried = request, model, record.key, request.mark, tried
        self.since = queue.context.now()
        self.hopeless_since: float | None = None
        self.is_over = False
        self._timer: asyncio.TimerHandle | None = None

    # The client's calls

    def cancel(self) -> None:
        """The client has gone."""
        self._queue.leave(self)
        self._close()
        self._record.outcome = "gone"
        self._record.seconds = self._queue.context.now() - self.request.came_at
        self._queue.context.finished(self._record)

    def pause(self) -> None:
        """Nothing to hold back: it has no answer yet."""

    def resume(self) -> None:
        """As `pause`."""

    # The queue's calls

    def wait(self, seconds: float) -> None:
        """Starts the clock: past it the request is refused."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self._late)

    def go(self, target: Target) -> None:
        """It has a place, and is in no line any more."""
        self._close()
        context, client = self._queue.context, self._client
        client.work = Exchange(context, client, self.request, self.model, True, target, self._record, self.tried)

    def refuse(self, status: int, message: str) -> None:
        """It has to leave, and is in no line any more."""
        self._close()
        self._client.answer(self._queue.refusal(self.request, self.model, status, message), self._record)

    # Its own steps

    def _late(self) -> None:
        self._queue.leave(self)
        waited = self._record.queue_seconds + self._queue.context.now() - self.since
        self.refuse(503, f"no target had a free place for {self.model} within {waited:.1f} s")

    def _close(self) -> None:
        self.is_over = True
        self._record.queue_seconds += self._queue.context.now() - self.since
        if self._timer is not None:
            self._timer.cancel()


class Queue:
    """Everybody who waits at this gateway; it is `Context.queue`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.admission = Admission(context.settings.limits.queue_length)
        self._freed: set[Target] = set()
        self._is_looking_soon = self._is_looking_at_all = False
        self._next_look: asyncio.TimerHandle | None = None

    def place(self, request: Request, model: str, key: str) -> Target | Without:
        """A target for a request that comes now, or `Without.PLACE`: then it may `enter`."""
        found = self.admission.place(self.context.pool, model, key, request.mark, self.context.now())
        if found is Without.TURN:
            self.look_soon()
            return Without.PLACE
        return found

    def enter(self, client: ClientConnection, request: Request, model: str, record: Record) -> Waiting | None:
        """Lets the client's request wait, or answers it with a refusal (None)."""
        waiting = Waiting(self, client, request, model, record)
        found = self.admission.enter(waiting)
        if isinstance(found, Refused):
            status = 429 if found is Refused.SHARE else 503
            client.answer(self.refusal(request, model, status, f"{found.value} for {model}; try again later"), record)
            return None
        if found is not None:
            cast(Waiting, found).refuse(429, f"{Refused.SHARE.value} for {model}; try again later")
        waiting.wait(self._seconds(request))
        start_if_asked(client, request, model, self.context.settings.limits.warming_seconds)
        self._look_later()
        return waiting

    def requeue(
        self, client: ClientConnection, request: Request, model: str, record: Record, tried: Collection[str]
    ) -> None:
        """See `Context.requeue`."""
        waiting = Waiting(self, client, request, model, record, tried)
        self.admission.enter_first(waiting)
        client.work = waiting
        start_if_asked(client, request, model, self.context.settings.limits.warming_seconds)
        waiting.wait(max(0.0, self._seconds(request) - record.queue_seconds))
        self._look_later()

    def leave(self, waiting: Waiting) -> None:
        self.admission.leave(waiting)

    def gave_back(self, target: Target) -> None:
        """A place there is free, or its state changed. Nobody is called amid a step: it is looked after right after."""
        if self.admission.waiting:
            self._freed.add(target)
            self.look_soon()

    def look_soon_at_all(self) -> None:
        """A target came, went or changed."""
        if self.admission.waiting and not self._is_looking_at_all:
            self._is_looking_at_all = True
            asyncio.get_running_loop().call_soon(self._look_at_all)

    def look_soon(self) -> None:
        if not self._is_looking_soon:
            self._is_looking_soon = True
            asyncio.get_running_loop().call_soon(self._look)

    def refusal(self, request: Request, model: str, status: int, message: str) -> Answer:
        """With a Retry-After: when those who wait will have been answered, at the pace of the last half minute."""
        pace = self.context.pool.speeds.answered_per_second(model, self.context.now())
        seconds = self.admission.waiting_for(model) / pace if pace > 0.01 else LOOK_SECONDS
        header = b"Retry-After: %d\r\n" % min(max(1, math.ceil(seconds)), LONGEST_RETRY_SECONDS)
        return error_answer(request.dialect, status, message, header)

    def end(self, why: str) -> None:
        """Refuses all who wait."""
        for waiting in self._everybody():
            if not waiting.is_over:
                self.leave(waiting)
                waiting.refuse(503, why)

    # Its own steps

    def _look(self) -> None:
        self._is_looking_soon = False
        freed, self._freed = self._freed, set()
        for waiting, target in self.admission.grants(self.context.pool, self.context.now(), freed):
            cast(Waiting, waiting).go(target)

    def _look_later(self) -> None:
        if self._next_look is None:
            seconds = SHARED_LOOK_SECONDS if self.context.pool.is_shared else LOOK_SECONDS
            self._next_look = asyncio.get_running_loop().call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        self._next_look = None
        self._look_at_all()
        if self.admission.waiting:
            self._look_later()

    def _look_at_all(self) -> None:
        self._is_looking_at_all = False
        context, now = self.context, self.context.now()
        for waiting, target in self.admission.grants(context.pool, now, None):
            cast(Waiting, waiting).go(target)
        hopes = {model: context.pool.hope(model, ()) for model in self.admission.lines}
        for waiting in self._everybody():
            hope = context.pool.hope(waiting.model, waiting.tried) if waiting.tried else hopes[waiting.model]
            self._refuse_hopeless(waiting, hope, now)

    def _refuse_hopeless(self, waiting: Waiting, hope: Without, now: float) -> None:
        """A target that is gone for a moment is waited for; nobody waits for none. (A refusal lets its client's next
        request enter, and that may push out another.)
        """
        if waiting.is_over or hope is Without.PLACE:
            waiting.hopeless_since = None
        elif waiting.hopeless_since is None:
            waiting.hopeless_since = now
        elif now - waiting.hopeless_since > self.context.settings.limits.stall_seconds:
            self.leave(waiting)
            waiting.refuse(503, f"no target {hope.value}; try again soon")

    def _everybody(self) -> list[Waiting]:
        return [cast(Waiting, each) for line in self.admission.lines.values() for each in line.everybody()]

    def _seconds(self, request: Request) -> float:
        """How long it may wait: the settings' limit, or less if the client wishes so."""
        limit = self.context.settings.limits.queue_seconds
        for value in request.all_of(DEADLINE_HEADER):
            if value.isdigit() and len(value) < 10:
                return min(limit, int(value) / 1000)
        return limit
