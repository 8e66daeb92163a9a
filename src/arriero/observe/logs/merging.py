"""Many sources of lines become one: in the order of their times, each once, what comes too late marked. Pure.

A line is held back for a while, so that earlier ones from slower sources can still go before it. What comes later than
that is shown all the same, and says so.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from arriero.observe.logs.entry import Entry, Shown
from arriero.observe.logs.requests import Requests

# A sidecar keeps 5,000 lines: further back than twice that it repeats none.
NUMBERS_KEPT = 10_000


@dataclass
class Seen:
    """Which lines were there already. Numbered ones are known by their number, others by all that they say.

    `forget` says that no source will bring unnumbered lines from before some moment again.
    """

    _numbers: dict[tuple[str, str], _Numbers] = field(default_factory=dict)
    _others: set[tuple[datetime, str, str, str, int]] = field(default_factory=set)

    def is_new(self, entry: Entry) -> bool:
        """True once for each line."""
        if entry.seq:
            return self._numbers.setdefault((entry.target, entry.boot), _Numbers()).is_new(entry.seq)
        key = (entry.at, entry.site, entry.target, entry.text, entry.nth)
        if key in self._others:
            return False
        self._others.add(key)
        return True

    def forget(self, before: datetime) -> None:
        self._others = {key for key in self._others if key[0] >= before}


@dataclass
class _Numbers:
    """A set of numbers that takes what is far below its greatest for known. Up to its floor it has all of them, so that
    a process whose lines all came takes no room, however many it wrote.
    """

    _floor: int = 0
    _greatest: int = 0
    _known: set[int] = field(default_factory=set)

    def is_new(self, number: int) -> bool:
        if number <= self._floor or number in self._known:
            return False
        self._known.add(number)
        self._greatest = max(self._greatest, number)
        if len(self._known) > 2 * NUMBERS_KEPT:
            self._floor = max(self._floor, self._greatest - NUMBERS_KEPT)
            self._known = {one for one in self._known if one > self._floor}
        while self._floor + 1 in self._known:
            self._floor += 1
            self._known.discard(self._floor)
        return True


@dataclass
class Merger:
    """`hold` is how long a line waits for earlier ones; then it gets its request's id, if another line told that."""

    hold: timedelta
    requests: Requests = field(default_factory=Requests)
    _waiting: list[tuple[datetime, datetime, int, Entry]] = field(default_factory=list)
    _count: int = 0
    _shown: datetime | None = None

    def put(self, entry: Entry, now: datetime) -> None:
        """A clock that is ahead of ours holds its lines back no longer than any other."""
        self._count += 1
        self.requests.learn(entry)
        due = min(entry.at, now)
        heapq.heappush(self._waiting, (due, entry.at, self._count, entry))

    def ready(self, now: datetime) -> Iterator[Shown]:
        """Those that have waited long enough."""
        while self._waiting and self._waiting[0][0] <= now - self.hold:
            yield self._pop()

    def rest(self) -> Iterator[Shown]:
        """All that wait, as nothing more will come."""
        while self._waiting:
            yield self._pop()

    def _pop(self) -> Shown:
        due, *_, entry = heapq.heappop(self._waiting)
        is_late = self._shown is not None and due < self._shown
        self._shown = max(due, self._shown or due)
        return Shown(self.requests.named(entry), is_late)
