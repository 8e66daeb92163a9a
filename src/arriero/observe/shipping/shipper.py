"""Sends what waits, batch by batch, and decides what becomes of a batch that was not taken.

A batch is tried until it is taken or refused: with no answer, 408, 429, 5xx, and where the receiver does not know us
or the path (401, 403, 404, 3xx: a key or an address that is to be put right), again after a wait that doubles, or as
long as Retry-After says. Any other answer is a refusal, and the batch is counted as lost. Lines that come meanwhile
wait, and push out the oldest. `step` is one try; it is given the clock, and waits for nothing but the receiver.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from arriero.clock import Clock
from arriero.control.shipping import Shipped
from arriero.events import Event, Listener, ignore
from arriero.observe.logs.merging import Seen
from arriero.observe.shipping.line import Line
from arriero.observe.shipping.post import Answer, Receiver
from arriero.observe.shipping.waiting import Waiting

# A batch is sent when it is full, or after this.
BATCH_SECONDS = 1.0
FIRST_WAIT_SECONDS, WAIT_LIMIT_SECONDS, RETRY_AFTER_LIMIT_SECONDS = 1.0, 60.0, 300.0
_AGAIN = frozenset((401, 403, 404, 408, 429))


@dataclass
class Memory:
    """What outlives a shipper: lines that wait, those that were there already, what was counted, and the moments of the
    newest line that came and of the newest that was taken. `turn` is held by the shipper that sends: a former one may
    still hear its receiver out.
    """

    waiting: Waiting = field(default_factory=Waiting)
    seen: Seen = field(default_factory=Seen)
    sent: int = 0
    refused: int = 0
    failures: int = 0
    came: datetime | None = None
    newest: datetime | None = None
    batch: Sequence[Line] = ()
    turn: threading.Lock = field(default_factory=threading.Lock)

    def put(self, line: Line) -> None:
        self.came = max(self.came or line.at, line.at)
        self.waiting.put(line)

    def shipped(self) -> Shipped:
        waiting = len(self.waiting) + len(self.batch)
        return Shipped(self.sent, self.waiting.dropped, self.refused, self.failures, waiting)


@dataclass
class Shipper:
    """`chance` spreads the tries of several controllers."""

    receiver: Receiver
    clock: Clock
    memory: Memory = field(default_factory=Memory)
    listener: Listener = ignore
    chance: random.Random = field(default_factory=random.Random)
    _failed: int = 0
    _again_at: float = float("-inf")
    _said: tuple[str, int] = ("logs.shipped", 0)

    def step(self) -> float:
        """Sends a batch, if it is time and there is one; returns the seconds until there may be more to do."""
        left = self._again_at - self.clock.monotonic()
        if left > 0:
            return left
        with self.memory.turn:
            return self._send()

    @property
    def is_failing(self) -> bool:
        return self._failed > 0

    def _send(self) -> float:
        memory = self.memory
        memory.batch = memory.batch or memory.waiting.take()
        if not memory.batch:
            return BATCH_SECONDS
        answer = self.receiver.send(memory.batch)
        if _is_for_later(answer.status):
            return self._put_off(answer)
        self._over(answer, memory.batch)
        memory.batch, self._failed = (), 0
        return 0.0 if memory.waiting.is_batch else BATCH_SECONDS

    def _put_off(self, answer: Answer) -> float:
        self.memory.failures += 1
        doubled = min(WAIT_LIMIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(self._failed, 16))
        asked = min(answer.retry_after_seconds, RETRY_AFTER_LIMIT_SECONDS)
        wait = max(asked, doubled * self.chance.uniform(0.5, 1.0))
        self._failed += 1
        self._again_at = self.clock.monotonic() + wait
        self._say(
            "logs.unshipped", answer.status, f"{answer.why}; lines wait, {self.memory.waiting.lines_limit} at most"
        )
        return wait

    def _over(self, answer: Answer, batch: Sequence[Line]) -> None:
        memory = self.memory
        is_taken = 200 <= answer.status < 300
        refused = min(answer.refused, len(batch)) if is_taken else len(batch)
        memory.refused += refused
        memory.sent += len(batch) - refused
        memory.newest = max(filter(None, (memory.newest, *(line.at for line in batch))))
        if refused:
            self._say("logs.refused", answer.status, answer.why or f"{refused} of {len(batch)} lines were not taken")
        else:
            self._say("logs.shipped", 0, "lines are taken again")

    def _say(self, kind: str, status: int, text: str) -> None:
        """Once, until it is otherwise; that all is well only after it was not."""
        if (kind, status) != self._said:
            self._said = kind, status
            self.listener(Event(kind, self.clock.now(), fields={"text": text}))


def _is_for_later(status: int) -> bool:
    return status < 200 or 300 <= status < 400 or status >= 500 or status in _AGAIN
