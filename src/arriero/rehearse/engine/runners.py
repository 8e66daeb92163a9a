"""Carries out what the scheduler decides: loads take their time, turns are given, idle models leave.

Who runs: each load is a task, one timer waits for the next model to expire; all else happens in the requests' own
tasks. A state change contains no await.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arriero.rehearse.engine.scheduler import FOREVER, Action, Full, Runner, Scheduler, Ticket
from arriero.rehearse.engine.store import Model

__all__ = ["Full", "Runners"]


class Runners:
    def __init__(self, scheduler: Scheduler, load_seconds: float) -> None:
        self._scheduler = scheduler
        self._load_seconds = load_seconds
        self._numbers = itertools.count()
        self._turns: dict[int, asyncio.Future[None]] = {}
        self._loads: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, model: Model, context: int, keep_alive: float) -> AsyncIterator[None]:
        """Waits for the model and a slot in it; raises Full. What holds it gives it back, also when cancelled."""
        ticket = Ticket(next(self._numbers), model.weights, context, keep_alive)
        given = asyncio.get_running_loop().create_future()
        self._turns[ticket.number] = given
        try:
            self._do(self._scheduler.request(ticket))
            await given
            yield
        finally:
            del self._turns[ticket.number]
            self._do(self._scheduler.finish(ticket, time.time()))

    def give_up(self, model: Model) -> None:
        self._do(self._scheduler.give_up(model.weights))

    def resident(self) -> list[Runner]:
        """The models in memory, the one that expires last first."""
        ready = [runner for runner in self._scheduler.runners.values() if not runner.is_loading]
        return sorted(ready, key=expires_at, reverse=True)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if action.kind == "load":
                task = asyncio.ensure_future(self._load(action.model))
                self._loads.add(task)
                task.add_done_callback(self._loads.discard)
            elif action.ticket and not (turn := self._turns[action.ticket.number]).done():
                turn.set_result(None)
        self._wait_for_expiry()

    async def _load(self, model: str) -> None:
        await asyncio.sleep(self._load_seconds)
        # Ollama's own words in its log: loads are counted there, by the same pattern for both.
        print(f'msg="llama runner started in {self._load_seconds:.2f} seconds"', flush=True)
        self._do(self._scheduler.loaded(model, time.time()))

    def _wait_for_expiry(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        at = self._scheduler.next_expiry()
        if at < FOREVER:
            delay = max(0.0, at - time.time()) + 0.001
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._do(self._scheduler.expire(time.time()))


def expires_at(runner: Runner) -> float:
    """When it would leave if no further request came."""
    return runner.expires_at if runner.is_idle else time.time() + runner.keep_alive
