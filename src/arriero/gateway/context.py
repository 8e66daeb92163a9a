"""What every request of one gateway shares: the pool, the connections, the figures, the log."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from arriero.clock import Clock, Stamps
from arriero.control.settings import GatewaySettings
from arriero.gateway.access.guard import Guard
from arriero.gateway.routing.pool import Pool
from arriero.gateway.routing.quarantine import Quarantine
from arriero.gateway.routing.retry import Budget
from arriero.gateway.routing.target import Target, Turn
from arriero.gateway.telling.figures import Figures
from arriero.gateway.telling.lanes import Lanes
from arriero.gateway.telling.log import Log
from arriero.gateway.telling.metrics import Metrics
from arriero.gateway.telling.record import Record
from arriero.gateway.telling.tallies import TallyBook
from arriero.gateway.telling.trace import Traces
from arriero.gateway.wire.upstream import Upstreams
from arriero.gateway.words.templates import Reading

if TYPE_CHECKING:
    from arriero.gateway.access.shared import SharedLimits
    from arriero.gateway.relay.changing import Changing
    from arriero.gateway.relay.forward import Exchange
    from arriero.gateway.relay.waiting import Queue
    from arriero.gateway.telling.spans import Spans
    from arriero.gateway.wire.connection import ClientConnection
    from arriero.gateway.wire.request import Request


@dataclass(slots=True)
class Context:
    """Touched from the event loop's thread only. `look_now` is set when targets should be probed without waiting,
    `renew_now` when keys and certificates should be read anew. `readings` tells by digest how models carry on. `now` is
    the monotonic clock; `timestamp` the wall clock in seconds since 1970, which keys expire by and limits count by.
    `is_told_of_targets`: DNS has said which there are.
    """

    settings: GatewaySettings
    clock: Clock
    log: Log
    upstreams: Upstreams
    pool: Pool = field(default_factory=Pool)
    metrics: Metrics = field(default_factory=Metrics)
    open: set[Exchange | Changing] = field(default_factory=set)
    look_now: asyncio.Event = field(default_factory=asyncio.Event)
    renew_now: asyncio.Event = field(default_factory=asyncio.Event)
    is_draining: bool = False
    queue: Queue | None = None
    lanes: Lanes | None = None
    is_handing_over: bool = False
    is_told_of_targets: bool = False
    guard: Guard = field(default_factory=Guard)
    shared: SharedLimits | None = None
    budget: Budget = field(default_factory=Budget)
    quarantine: Quarantine = field(default_factory=Quarantine)
    readings: dict[str, Reading] = field(default_factory=dict)
    spans: Spans | None = None
    tallies: TallyBook = field(init=False)
    traces: Traces = field(init=False)
    now: Callable[[], float] = field(init=False)
    timestamp: Callable[[], float] = field(init=False)
    _stamps: Stamps = field(default_factory=Stamps)
    _id_start: str = field(default_factory=lambda: secrets.token_hex(6))
    _id_count: Callable[[], int] = field(default_factory=lambda: itertools.count(1).__next__)

    def __post_init__(self) -> None:
        self.now, self.timestamp = self.clock.monotonic, self.clock.timestamp
        self.tallies = TallyBook(self.metrics.figures)
        self.traces = Traces(self.spans is not None, random.Random(secrets.randbits(256)))
        self.metrics.knows = lambda model: any(target.has(model) for target in self.pool)

    def new_id(self) -> str:
        return f"{self._id_start}-{self._id_count():x}"

    def tell(self, turns: Iterable[Turn | None]) -> None:
        """Logs changes of targets' states; whoever waits is looked after."""
        for turn in turns:
            if turn is not None:
                at = self._stamps.text(self.timestamp())
                self.log.tell("target", at, target=turn.target, was=turn.was, now=turn.now, why=turn.why)
                if self.queue is not None:
                    self.queue.look_soon_at_all()

    def report(self, event: str, **fields: object) -> None:
        """Logs something that is no request and no target's state."""
        self.log.tell(event, self._stamps.text(self.timestamp()), **fields)

    @property
    def beside(self) -> tuple[Figures, ...]:
        """The figures of the processes that serve beside this one."""
        return self.lanes.others if self.lanes is not None else ()

    def left(self, target: Target, result: str) -> None:
        """A request is at this target no more; `result` as in `Metrics.count_attempt`."""
        self.metrics.count_attempt(result)
        if self.pool.trial is not None:
            self.tallies.attempt(target.entry.site, target.entry.release, result)

    def gave_back(self, target: Target) -> None:
        """A place there is free again: whoever waits for one is looked after, once the event loop's call is over."""
        self.pool.gave_back(target)
        if self.queue is not None:
            self.queue.gave_back(target)

    def requeue(
        self, client: ClientConnection, request: Request, model: str, record: Record, tried: Collection[str] = ()
    ) -> None:
        """Puts a request that runs `model` at the head of its line; `client.work` is its work until it goes on.

        For whom no target has a place at the moment (`Without.PLACE`), or whose target was full after all: the place
        there has been given back, the exchange is out of `open`, and nothing of an answer was passed on. `tried` are
        the targets that failed it (a full one is not among them: it failed nobody). Its deadline goes on.
        """
        if self.queue is None:
            raise RuntimeError("nobody serves this gateway's queue")
        self.queue.requeue(client, request, model, record, tried)

    def finished(self, record: Record) -> None:
        """A request is over."""
        at = self.timestamp()
        if record.caller is not None:
            self._give_back(record, at)
        self.metrics.count(record)
        if self.pool.trial is not None:
            self.tallies.answered(record)
        self.pool.speeds.learn(record, self.now())
        if self.spans is not None:
            self.spans.tell(record, at)
        self.log.write(record.line(self._stamps.text(at)))

    def _give_back(self, record: Record, at: float) -> None:
        if self.shared is not None:
            self.shared.finished(record)
        self.guard.finished(record, at)
