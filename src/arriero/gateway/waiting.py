"""Requests that wait for a place at a target, and how each goes on: a place, a deadline, or a client that has gone.

Who runs: the event loop only. A waiting request holds one timer; a request that finds a free place never comes here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection

from arriero.gateway.admission import Admission, Refused
from arriero.gateway.answers import Answer, error_answer
from arriero.gateway.connection import ClientConnection
from arriero.gateway.context import Context
from arriero.gateway.forward import Exchange
from arriero.gateway.record import Record
from arriero.gateway.request import Request
from arriero.gateway.target import Target


class Waiting:
    """One request in a line; the client connection's `Work` until it gets a place."""

    __slots__ = ("_client", "_context", "_queue", "_record", "_request", "_timer", "_tried", "key", "model", "since")

    def __init__(
        self,
        queue: Queue,
        client: ClientConnection,
        request: Request,
        model: str,
        record: Record,
        tried: Collection[str],
    ) -> None:
        self._queue, self._context, self._client, self._request = queue, queue.context, client, request
        self._record, self._tried = record, tried
        self.model, self.key = model, record.key
        self.since = self._context.now()
        self._timer: asyncio.TimerHandle | None = None

    # The client's calls

    def cancel(self) -> None:
        """The client has gone."""
        self._queue.leave(self)
        self._close()
        self._record.outcome = "gone"
        self._record.seconds = self._context.now() - self._request.came_at
        self._context.finished(self._record)

    def pause(self) -> None:
        """Nothing is sent while it waits."""

    def resume(self) -> None:
        """Nothing is sent while it waits."""

    # The queue's calls

    def is_open_for(self, target: str) -> bool:
        return target not in self._tried

    @property
    def tried(self) -> Collection[str]:
        return self._tried

    def wait(self, seconds: float) -> None:
        """Starts the clock: past it the request is refused."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self._late)

    def go(self, target: Target) -> Exchange:
        """It has a place."""
        self._close()
        exchange = Exchange(
            self._context, self._client, self._request, self.model, True, target, self._record, self._tried
        )
        self._client.work = exchange
        return exchange

    def refuse(self, answer: Answer) -> None:
        """It has to leave; it is in no line any more."""
        self._close()
        self._client.answer(answer, self._record)

    # Its own steps

    def _late(self) -> None:
        self._queue.leave(self)
        waited = self._context.now() - self.since
        self.refuse(self._queue.refusal(self._request, 503, f"no target had a free place within {waited:.1f} s"))

    def _close(self) -> None:
        self._record.queue_seconds += self._context.now() - self.since
        if self._timer is not None:
            self._timer.cancel()


class Queue:
    """Everybody who waits at this gateway. `Context.queue`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._admission = Admission(context.settings.limits.queue_length)
        self._is_looking_soon = False

    def enter(self, client: ClientConnection, request: Request, model: str, record: Record) -> Waiting | None:
        """Lets the client's request wait, or answers it with a refusal (None)."""
        waiting = Waiting(self, client, request, model, record, ())
        found = self._admission.enter(waiting)
        if isinstance(found, Refused):
            status = 429 if found is Refused.SHARE else 503
            client.answer(self.refusal(request, status, f"{found.value}; try again later"), record)
            return None
        if isinstance(found, Waiting):
            found.refuse(self.refusal(found._request, 429, f"{Refused.SHARE.value}; try again later"))
        waiting.wait(self._seconds(request))
        return waiting

    def requeue(
        self,
        client: ClientConnection,
        request: Request,
        model: str,
        record: Record,
        tried: Collection[str] = (),
    ) -> None:
        """Puts it before all who wait: see `Context.requeue`."""
        waiting = Waiting(self, client, request, model, record, tried)
        self._admission.enter_first(waiting)
        client.work = waiting
        waiting.wait(max(0.0, self._seconds(request) - record.queue_seconds))
        self.look_soon()

    def leave(self, waiting: Waiting) -> None:
        self._admission.leave(waiting)

    def look_soon(self) -> None:
        """Gives free places to those who wait, once the event loop's call is over: nobody is called amid a step."""
        if self._admission.waiting and not self._is_looking_soon:
            self._is_looking_soon = True
            asyncio.get_running_loop().call_soon(self.look)

    def look(self) -> None:
        self._is_looking_soon = False
        for line in tuple(self._admission.lines.values()):
            for waiting in tuple(line.heads()):
                found = self.context.pool.find(waiting.model, True, waiting.tried, self.context.now())
                if isinstance(found, Target):
                    self._admission.went(waiting)
                    waiting.go(found)

    def refusal(self, request: Request, status: int, message: str) -> Answer:
        seconds = max(1, math.ceil(1.0))
        return error_answer(request.dialect, status, message, b"Retry-After: %d\r\n" % seconds)

    def _seconds(self, request: Request) -> float:
        return self.context.settings.limits.queue_seconds
