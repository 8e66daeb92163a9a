"""Who runs while lines are sent: two threads beside those that hear them (`logs/following.py`).

One takes lines as they come out, in order, and puts them with those that wait: it never waits for the receiver. The
other sends, and tells every TELL_SECONDS what was sent. Gateways, sidecars and their streams know nothing of all this:
what is slow or full here costs lines, which are counted, and nobody's answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from arriero.clock import Clock
from arriero.control.shipping import Shipped
from arriero.observe.logs.entry import Shown
from arriero.observe.shipping.line import Labels
from arriero.observe.shipping.shipper import Shipper

# A controller that starts has to find the targets first: each cloud's client takes a while to be made.
BEGIN_SECONDS = 5.0
TELL_SECONDS = 10.0
# What is left at the end is sent within this, if the receiver takes it.
FAREWELL_SECONDS = 3.0
LOOK_SECONDS = 1.0
# Lines that came late for the newest one that was there; some come twice so, and Loki keeps one.
OVERLAP = timedelta(seconds=5)
# After a longer pause the rest is left to the clouds' stores. And so far back it begins, where nothing was sent yet.
BACK_LIMIT, BACK_FIRST = timedelta(hours=1), timedelta(minutes=10)

Lines = Callable[[Callable[[], bool]], Iterator[Shown]]


def begin_at(newest: datetime | None, now: datetime) -> datetime:
    """From when on lines are wanted, `newest` being the moment of the newest that was there. A clock that is ahead of
    ours gave it a moment that is still to come: what others write until then is wanted, too.
    """
    return now - BACK_FIRST if newest is None else max(min(newest, now) - OVERLAP, now - BACK_LIMIT)


@dataclass
class Shipping:
    """`lines` gives all lines until what it is handed says that it is over; `tell` may fail, and is called again."""

    lines: Lines
    labels: Labels
    shipper: Shipper
    clock: Clock
    tell: Callable[[Shipped, datetime | None], None]
    begin_seconds: float = BEGIN_SECONDS
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: tuple[threading.Thread, ...] = ()

    def start(self) -> None:
        self._threads = (
            threading.Thread(target=self._read, name="lines to ship", daemon=True),
            threading.Thread(target=self._send, name="ship lines", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def stop(self, within_seconds: float | None = None) -> None:
        """Ends; None: returns only when no cloud is read any more. For a receiver that is slow it does not wait: what
        waits then is sent by the next one, or was told to be waiting.
        """
        self._ended.set()
        reading, sending = self._threads
        reading.join(within_seconds)
        sending.join(FAREWELL_SECONDS)

    def _read(self) -> None:
        self._ended.wait(self.begin_seconds)
        for shown in self.lines(self._ended.is_set):
            self.shipper.memory.put(self.labels.line(shown.entry))

    def _send(self) -> None:
        tell_at = self.clock.monotonic()
        while not self._ended.is_set():
            wait = self.shipper.step()
            if self.clock.monotonic() >= tell_at:
                self._tell()
                tell_at = self.clock.monotonic() + TELL_SECONDS
            self._ended.wait(min(wait, LOOK_SECONDS))
        self._threads[0].join(FAREWELL_SECONDS)  # What was read last is sent, too.
        end = self.clock.monotonic() + FAREWELL_SECONDS
        while len(self.shipper.memory.waiting) and not self.shipper.is_failing and self.clock.monotonic() < end:
            self.shipper.step()
        self._tell()

    def _tell(self) -> None:
        memory = self.shipper.memory
        self.tell(memory.shipped(), memory.newest)
