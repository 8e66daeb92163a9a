"""Who waits for a place, in which order, and who is refused. Pure.

One line for each model, bounded by `length`. In a line the API keys take turns, a request each, so that a key with a
thousand requests waiting delays another key's only one by one place. Who comes to a full line gets in only if its key
holds less than its share of the places: then the newest of the key that holds most has to leave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from enum import Enum
from typing import Protocol

from arriero.gateway.routing.pool import Pool, Without
from arriero.gateway.routing.prospects import Ask
from arriero.gateway.routing.target import Target

# How many models that are in no memory get a thought when a place becomes free; all get one at the next `look`.
COLD_LINES_AT_ONCE = 4


class Waiter(Protocol):
    """A request that waits. `key` is the name of its API key, empty without one: all of those are one flow."""

    key: str
    model: str
    since: float
    mark: int
    tried: Collection[str]


class Refused(Enum):
    """Why there is no place left to wait."""

    SHARE = "this key already waits with as many requests as it may"
    FULL = "as many requests wait as may"


class Line:
    """Those who wait for one model. `first` come before all others: they had a place, and it was taken from them."""

    def __init__(self) -> None:
        self._first: deque[Waiter] = deque()
        self._flows: dict[str, deque[Waiter]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, waiter: Waiter) -> None:
        """Behind those of its key; a key that comes anew has its turn after the others."""
        self._flows.setdefault(waiter.key, deque()).append(waiter)
        self._count += 1

    def put_first(self, waiter: Waiter) -> None:
        self._first.append(waiter)
        self._count += 1

    def heads(self) -> Iterator[Waiter]:
        """In the order in which they may go: those who come first, then the oldest of each key by turns."""
        yield from self._first
        for flow in self._flows.values():
            yield flow[0]

    def went(self, waiter: Waiter) -> None:
        """It got a place: its key's next turn comes after all others'."""
        self.leave(waiter)
        flow = self._flows.pop(waiter.key, None)
        if flow is not None:
            self._flows[waiter.key] = flow

    def leave(self, waiter: Waiter) -> None:
        """Takes it out, wherever it is; raises ValueError when it is not here."""
        if waiter in self._first:
            self._first.remove(waiter)
        else:
            flow = self._flows.get(waiter.key, deque())
            flow.remove(waiter)
            if not flow:
                del self._flows[waiter.key]
        self._count -= 1

    def ahead_of_new(self, key: str) -> int:
        """How many go before a request of this key that comes now."""
        own = len(self._flows.get(key, ()))
        others = sum(min(len(flow), own + 1) for name, flow in self._flows.items() if name != key)
        return len(self._first) + own + others

    def share(self, key: str, length: int) -> tuple[int, int]:
        """How many places this key holds, and how many of `length` it may hold beside the keys that wait now."""
        keys = len(self._flows) + (key not in self._flows)
        return len(self._flows.get(key, ())), length // keys

    def oldest(self) -> float:
        """Since when one of those who may go next waits."""
        return min(waiter.since for waiter in self.heads())

    def newest_of_largest(self) -> Waiter:
        return max(self._flows.values(), key=len)[-1]

    def everybody(self) -> list[Waiter]:
        return [*self._first, *(waiter for flow in self._flows.values() for waiter in flow)]

    @property
    def keys(self) -> int:
        return len(self._flows)

    def last(self) -> Waiter:
        return self.newest_of_largest() if self._flows else self._first[-1]


class Admission:
    """The lines of all models. Whoever enters must `leave` or be told that it `went`, once."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.lines: dict[str, Line] = {}
        self.waiting = 0

    def place(self, pool: Pool, model: str, key: str, mark: int, now: float) -> Target | Without:
        """A target for a request that comes now. `Without.PLACE`: it may `enter`; `Without.TURN`: it may, and a place
        became free this moment, which those get who waited before.
        """
        found: Target | Without | None = None
        if not self.waiting:
            found = pool.usual(model, (), mark, now)
        if found is None:
            found = pool.place(self.ask(model, key, mark), now)
            if model in self.lines and isinstance(found, Target) and _has(found, model):
                found = Without.TURN
        if found is not Without.MODEL:
            pool.speeds.asked(model, now)
        return found

    def enter(self, waiter: Waiter) -> Waiter | Refused | None:
        """Lets it wait. Returns who had to leave for it, or why it can't wait itself."""
        line = self.lines.get(waiter.model)
        if line is None or len(line) < self._length:
            self._line(waiter.model).put(waiter)
            self.waiting += 1
            return None
        held, share = line.share(waiter.key, self._length)
        if held >= share:
            return Refused.SHARE if line.keys > 1 else Refused.FULL
        out = line.newest_of_largest()
        self.leave(out)
        self._line(waiter.model).put(waiter)
        self.waiting += 1
        return out

    def enter_first(self, waiter: Waiter) -> None:
        """For one that had a place already: there is no limit to those."""
        self._line(waiter.model).put_first(waiter)
        self.waiting += 1

    def leave(self, waiter: Waiter) -> None:
        self.lines[waiter.model].leave(waiter)
        self._forget(waiter.model)

    def went(self, waiter: Waiter) -> None:
        self.lines[waiter.model].went(waiter)
        self._forget(waiter.model)

    def ask(self, model: str, key: str, mark: int) -> Ask:
        """For a request that comes now."""
        line = self.lines.get(model)
        return Ask(model, (), line.ahead_of_new(key) if line else 0, 0.0, mark, self.waiting_for)

    def waiting_for(self, model: str) -> int:
        line = self.lines.get(model)
        return len(line) if line else 0

    def grants(self, pool: Pool, now: float, freed: Collection[Target] | None) -> Iterator[tuple[Waiter, Target]]:
        """Who goes where, now that these targets have a place (None: whatever is free). Whoever asks for the next has
        to have `take`n the place before. Models that no memory holds come first, then the longest line: they get the
        server of another model only when that is due.
        """
        cold, warm, others = [], [], []
        for model, line in self.lines.items():
            if not any(_holds(target, model) for target in pool):
                cold.append(line)
            elif freed is None or any(_holds(target, model) for target in freed):
                warm.append(line)
            else:
                others.append(line)
        cold.sort(key=Line.oldest)
        for line in cold if freed is None else cold[:COLD_LINES_AT_ONCE]:
            yield from self._grants_of(line, pool, now)
        for line in sorted((line for line in others or warm if len(line) > 1), key=len)[-1:]:
            yield from self._replica(line, pool, now)
        for line in sorted(warm, key=Line.oldest):
            yield from self._grants_of(line, pool, now)

    def _grants_of(self, line: Line, pool: Pool, now: float) -> Iterator[tuple[Waiter, Target]]:
        is_moving = True
        while line and is_moving:
            is_moving = False
            for waiter in tuple(line.heads()):
                ask = Ask(waiter.model, waiter.tried, 0, now - waiter.since, waiter.mark, self.waiting_for)
                found = pool.place(ask, now)
                if not isinstance(found, Target) and pool.has_tiers and len(line) > 1:
                    found = self._spill(line, waiter, pool, now) or found
                if isinstance(found, Target):
                    self.went(waiter)
                    is_moving = True
                    yield waiter, found
                    break
                if not waiter.tried:
                    # Nor is there one for those of other keys: only what failed a request makes a difference.
                    break

    def _spill(self, line: Line, waiter: Waiter, pool: Pool, now: float) -> Target | None:
        """A dearer site's free slot, where the line is so long that its last would go there: then its first does. For
        itself alone the first would wait, each time, while the line grows.
        """
        ask = Ask(waiter.model, waiter.tried, len(line) - 1, now - waiter.since, waiter.mark, self.waiting_for)
        found = pool.place(ask, now)
        if isinstance(found, Target) and found.is_resident(waiter.model) and found.busy < found.slots:
            return found
        return None

    def _replica(self, line: Line, pool: Pool, now: float) -> Iterator[tuple[Waiter, Target]]:
        """The last of a line that is longer than a load goes to a target that loads its model."""
        last = line.last()
        ask = Ask(last.model, last.tried, len(line) - 1, now - last.since, last.mark, self.waiting_for)
        found = pool.place(ask, now)
        if isinstance(found, Target) and not _holds(found, last.model):
            self.went(last)
            yield last, found

    def _line(self, model: str) -> Line:
        return self.lines.setdefault(model, Line())

    def _forget(self, model: str) -> None:
        self.waiting -= 1
        if not self.lines[model]:
            del self.lines[model]


def _holds(target: Target, model: str) -> bool:
    return target.can_take and _has(target, model)


def _has(target: Target, model: str) -> bool:
    return target.is_resident(model) or target.is_loading(model)
