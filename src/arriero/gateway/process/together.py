"""One truth of slots and of what API keys have used, for processes that serve side by side on one machine.

Each process writes only its own block of figures and reads all of them; whoever takes something that is limited does it
under one lock, in some microseconds: read the others, decide, write. So no limit is passed, and nothing waits but for
that lock. A process without neighbours skips all of it, and writes down what keys have used when it sweeps: for a
neighbour to come, and for the process after it if it is killed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator

from arriero.control.keys import Key
from arriero.control.messages import Routing, TargetStatus
from arriero.gateway.access.allowance import Usage
from arriero.gateway.access.guard import Caller, Guard, Refusal
from arriero.gateway.routing.pool import Pool, Without
from arriero.gateway.routing.prospects import Ask
from arriero.gateway.routing.quarantine import Quarantine, Suspect
from arriero.gateway.routing.target import Target
from arriero.gateway.telling.figures import Figures
from arriero.gateway.telling.lanes import Lanes
from arriero.gateway.telling.record import Record

_HAS_QUARANTINE = "quarantines{}"


class SharedPool(Pool):
    """A pool whose targets count what the neighbours have open there.

    A target with a sidecar is not counted here: its sidecar is the one truth, and tells it.
    """

    def __init__(self, lanes: Lanes) -> None:
        super().__init__()
        self._lanes = lanes
        self._numbers = lanes.own.numbers
        self._rows: dict[str, int | None] = {}

    @property
    def is_shared(self) -> bool:
        return bool(self._lanes.others)

    def find(self, model: str | None, runs: bool, tried: Collection[str], now: float) -> Target | Without:
        with self._claiming():
            found = super().find(model, runs, tried, now)
            if isinstance(found, Target):
                self._tell(found, found.in_flight + 1)
            return found

    def place(self, ask: Ask, now: float) -> Target | Without:
        with self._claiming():
            found = super().place(ask, now)
            if isinstance(found, Target):
                self._tell(found, found.in_flight + 1)
            return found

    def place_at(self, site: str, model: str, now: float) -> Target | Without:
        with self._claiming():
            found = super().place_at(site, model, now)
            if isinstance(found, Target):
                self._tell(found, found.in_flight + 1)
            return found

    def usual(self, model: str, tried: Collection[str], mark: int, now: float) -> Target | None:
        if not self._lanes.others:
            found = self._usual(model, tried, mark, now)
            if found is not None:
                self._tell(found, found.in_flight + 1)
            return found
        with self._claiming():
            found = super().usual(model, tried, mark, now)
            if found is not None:
                self._tell(found, found.in_flight + 1)
            return found

    def gave_back(self, target: Target) -> None:
        """Tells the neighbours how many requests are open there."""
        self._tell(target, target.in_flight)

    def tell_all(self) -> None:
        """The same for all targets: what was claimed and not used is given back by this."""
        for target in self:
            self._tell(target, target.in_flight)

    def status(self) -> tuple[TargetStatus, ...]:
        self._look()
        return super().status()

    def explain(self, ask: Ask, now: float) -> Routing:
        self._look()
        return super().explain(ask, now)

    @contextlib.contextmanager
    def _claiming(self) -> Iterator[None]:
        """A place that is found inside is taken for the neighbours at once, though it is counted a moment later."""
        if not self._lanes.others:
            yield
            return
        with self._lanes.alone():
            self._look()
            yield

    def _look(self) -> None:
        for target in self:
            if not target.is_followed:
                target.others = int(sum(row[0] for row in _read(self._lanes.others, _slots(target), 1)))

    def _tell(self, target: Target, count: int) -> None:
        name = target.entry.id
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = self._lanes.own.row(_slots(target), 1)
        if row is not None:
            self._numbers[row] = count


class SharedGuard(Guard):
    """A guard whose limits hold for all neighbours together."""

    def __init__(self, lanes: Lanes) -> None:
        super().__init__()
        self._lanes = lanes
        self._rows: dict[str, tuple[int | None, int | None]] = {}
        self._untold: dict[str, Caller] = {}

    def set_keys(self, keys: Iterable[Key]) -> None:
        known = set(self.usages())
        super().set_keys(keys)
        for name in self.usages().keys() - known:
            start = self._lanes.own.find(_usage(name))
            if start is not None:
                # Whoever had this block before was killed: what it counted still holds.
                self.usages()[name].restore(self._lanes.own.numbers[start : start + 8].tolist())

    def admit(self, caller: Caller, model: str | None, now: float) -> Refusal | None:
        if not self._lanes.others:
            caller.usage.open_elsewhere, caller.usage.spent_elsewhere = 0, 0.0
            self._untold[caller.name] = caller
            return super().admit(caller, model, now)
        with self._lanes.alone():
            self._see(caller.name, caller.usage, now)
            refusal = super().admit(caller, model, now)
            self._tell(caller)
            return refusal

    def finished(self, record: Record, now: float) -> None:
        super().finished(record, now)
        if record.caller is not None:
            self._changed(record.caller)

    def withdraw(self, caller: Caller) -> None:
        super().withdraw(caller)
        self._changed(caller)

    def tell_all(self) -> None:
        """Writes down what has not been yet."""
        while self._untold:
            self._tell(self._untold.popitem()[1])

    def _look(self, now: float) -> None:
        for name, usage in self.usages().items():
            self._see(name, usage, now)

    def _see(self, name: str, usage: Usage, now: float) -> None:
        others = self._lanes.others
        usage.see(_read(others, _usage(name), 8), now)
        usage.open_elsewhere = int(sum(row[0] for row in _read(others, _open(name), 1)))

    def _changed(self, caller: Caller) -> None:
        if self._lanes.others:
            self._tell(caller)
        else:
            self._untold[caller.name] = caller

    def _tell(self, caller: Caller) -> None:
        rows, own = self._rows.get(caller.name), self._lanes.own
        if rows is None:
            rows = self._rows[caller.name] = own.row(_open(caller.name), 1), own.row(_usage(caller.name), 8)
        if rows[0] is not None:
            own.numbers[rows[0]] = caller.usage.open
        if rows[1] is not None:
            own.write(rows[1], caller.usage.numbers())


class SharedQuarantine(Quarantine):
    """What one process found out, all refuse. Moments are of the monotonic clock, which is the machine's.

    A suspect has a row by the first byte of its mark, so that rows don't grow in number; a later one takes it over.
    """

    __slots__ = ("_lanes",)

    def __init__(self, lanes: Lanes) -> None:
        super().__init__()
        self._lanes = lanes

    def _has_any(self, now: float) -> bool:
        if now < self._until:
            return True
        others = self._lanes.others
        return bool(others) and any(row[0] > now for row in _read(others, _HAS_QUARANTINE, 1))

    def _known(self, mark: bytes) -> Suspect | None:
        """As who changed it last knows it."""
        known, rows = super()._known(mark), self._rows(mark)
        if not rows:
            return known
        changed, deaths, at, until = max(row[3:] for row in rows)
        if known and known.at > changed:
            return known
        return Suspect(int(deaths), at, until) if deaths else None

    def _set(self, mark: bytes, suspect: Suspect, now: float) -> None:
        """A first death stays here; the end of a suspicion concerns those who know of it."""
        super()._set(mark, suspect, now)
        if suspect.deaths > 1:
            self._tell(_quarantined(mark), [*_words(mark), now, float(suspect.deaths), suspect.at, suspect.until])
            self._tell(_HAS_QUARANTINE, [suspect.is_forgotten_at])
        elif not suspect.deaths and self._rows(mark):
            self._tell(_quarantined(mark), [*_words(mark), now, 0.0, now, now])

    def _rows(self, mark: bytes) -> list[list[float]]:
        blocks, words = (*self._lanes.others, self._lanes.own), _words(mark)
        return [row for row in _read(blocks, _quarantined(mark), 7) if row[:3] == words]

    def _tell(self, name: str, values: list[float]) -> None:
        own = self._lanes.own
        row = own.row(name, len(values))
        if row is not None:
            own.write(row, values)


def usage_of_all(lanes: Lanes, now: float) -> dict[str, list[float]]:
    """What every key has used at all neighbours, as one process would tell it."""
    rows = [(name, numbers) for block in lanes.others for name, numbers in block.rows() if name.startswith("usage{")]
    found = {}
    for key in dict(rows):
        usage = Usage()
        usage.see([numbers for name, numbers in rows if name == key], now)
        found[key[6:-1]] = list(usage.seen(now))
    return found


def _read(blocks: Iterable[Figures], name: str, width: int) -> Iterator[list[float]]:
    for block in blocks:
        start = block.find(name)
        if start is not None:
            yield list(block.numbers[start : start + width])


def _slots(target: Target) -> str:
    return f"slots{{{target.entry.id}}}"


def _open(key: str) -> str:
    return f"open{{{key}}}"


def _quarantined(mark: bytes) -> str:
    return f"quarantine{{{mark[0]}}}"


def _words(mark: bytes) -> list[float]:
    """Its sixteen bytes in numbers that hold six each."""
    return [float(int.from_bytes(mark[start : start + 6])) for start in (0, 6, 12)]


def _usage(key: str) -> str:
    return f"usage{{{key}}}"
