"""Which request runs when: Ollama's own rules, pure. It is told what happened and returns what is to be done.

A loaded model takes any number of requests: `parallel` of them run, the rest wait their turn. A request whose model
must be loaded first waits in the loading queue, and only that one has a limit (OLLAMA_MAX_QUEUE, the one being served
not counted). Loads happen one by one; at most `max_loaded` models stay, and one at work is never evicted: loads wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request's place. `model` is the digest of the weights: names that share them share the runner."""

    number: int
    model: str
    context: int
    keep_alive: float


@dataclass(frozen=True, slots=True)
class Action:
    """`start`: the ticket may generate. `load`: load the model now. `unload`: it left the memory."""

    kind: Literal["start", "load", "unload"]
    model: str
    ticket: Ticket | None = None


@dataclass
class Runner:
    """A model in memory. `expires_at` is set while it is idle; `held` is who runs or waits for a turn."""

    model: str
    context: int
    is_loading: bool = True
    running: set[int] = field(default_factory=set)
    waiting: deque[Ticket] = field(default_factory=deque)
    keep_alive: float = 0.0
    expires_at: float = FOREVER

    @property
    def is_idle(self) -> bool:
        return not (self.is_loading or self.running or self.waiting)


class Full(Exception):
    """The loading queue is full: the request is refused with 503."""


class Scheduler:
    def __init__(self, parallel: int, max_queue: int, max_loaded: int) -> None:
        self.runners: dict[str, Runner] = {}
        self._parallel = parallel
        self._max_queue = max_queue
        self._max_loaded = max_loaded
        self._queue: deque[Ticket] = deque()
        self._loading: str | None = None

    def request(self, ticket: Ticket) -> list[Action]:
        """Takes a request in; raises Full if it would have to wait for a load behind too many others."""
        runner = self.runners.get(ticket.model)
        if runner and not runner.is_loading and runner.context == ticket.context:
            return self._admit(runner, ticket)
        if len(self._queue) > self._max_queue:
            raise Full
        self._queue.append(ticket)
        return self._advance()

    def loaded(self, model: str, now: float) -> list[Action]:
        """The load that was asked for is done."""
        self._loading = None
        runner = self.runners[model]
        runner.is_loading = False
        return self._advance() + self._settle(runner, now)

    def finish(self, ticket: Ticket, now: float) -> list[Action]:
        """The request ended or was given up, wherever it stood."""
        if ticket in self._queue:
            self._queue.remove(ticket)
            return []
        runner = self.runners.get(ticket.model)
        if runner is None:
            return []
        runner.running.discard(ticket.number)
        if ticket in runner.waiting:
            runner.waiting.remove(ticket)
        return self._fill(runner) + self._settle(runner, now) + self._advance()

    def expire(self, now: float) -> list[Action]:
        """Idle models whose time is over leave."""
        actions: list[Action] = []
        for runner in list(self.runners.values()):
            if runner.is_idle and runner.expires_at <= now:
                actions += self._unload(runner)
        return actions + self._advance()

    def next_expiry(self) -> float:
        return min((r.expires_at for r in self.runners.values() if r.is_idle), default=FOREVER)

    def give_up(self, model: str) -> list[Action]:
        """Unloads at once if idle, else when its requests are done."""
        runner = self.runners.get(model)
        if runner is None:
            return []
        runner.keep_alive = 0
        return self._unload(runner) + self._advance() if runner.is_idle else []

    def _advance(self) -> list[Action]:
        """Serves the loading queue from its head, as far as can be without waiting."""
        actions: list[Action] = []
        while self._queue and self._loading is None:
            ticket = self._queue[0]
            runner = self.runners.get(ticket.model)
            if runner and runner.context == ticket.context:
                self._queue.popleft()
                actions += self._admit(runner, ticket)
                continue
            in_the_way = runner or self._to_evict()
            if in_the_way is None:
                actions += self._load(ticket)
            elif in_the_way.is_idle:
                actions += self._unload(in_the_way)
            else:
                return actions  # waits until it is idle
        return actions

    def _to_evict(self) -> Runner | None:
        """None while there is room; else the idle one that expires first, else any at work."""
        if len(self.runners) < self._max_loaded:
            return None
        return min(self.runners.values(), key=lambda runner: (not runner.is_idle, runner.expires_at))

    def _load(self, ticket: Ticket) -> list[Action]:
        self._loading = ticket.model
        self.runners[ticket.model] = Runner(ticket.model, ticket.context, keep_alive=ticket.keep_alive)
        return [Action("load", ticket.model)]

    def _settle(self, runner: Runner, now: float) -> list[Action]:
        """An idle model starts to wait for its end, or goes at once."""
        if not runner.is_idle or self.runners.get(runner.model) is not runner:
            return []
        runner.expires_at = now + runner.keep_alive
        return self._unload(runner) if runner.keep_alive == 0 else []

    def _unload(self, runner: Runner) -> list[Action]:
        del self.runners[runner.model]
        return [Action("unload", runner.model)]

    def _admit(self, runner: Runner, ticket: Ticket) -> list[Action]:
        runner.keep_alive = ticket.keep_alive
        runner.expires_at = FOREVER
        runner.waiting.append(ticket)
        return self._fill(runner)

    def _fill(self, runner: Runner) -> list[Action]:
        actions = []
        while runner.waiting and len(runner.running) < self._parallel:
            ticket = runner.waiting.popleft()
            runner.running.add(ticket.number)
            actions.append(Action("start", runner.model, ticket))
        return actions
