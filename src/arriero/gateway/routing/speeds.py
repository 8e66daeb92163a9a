"""What was learnt of how long things take here, and what is asked for lately. Pure: it is handed `now`.

Loads are learnt for each site (its storage decides) and model, answers for each target and model. The newest value
counts a fifth: a change shows after a few requests, one slow answer moves little.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any

from arriero.gateway.telling.record import Record

NEWEST = 0.2
RECENT_SECONDS = 10.0
# Until a load was seen: at the pace of a network file system (EFS: 0.35 GiB/s), and never below a tiny model's.
LOAD_BYTES_PER_SECOND = 375e6
SHORTEST_LOAD_SECONDS = 0.3
# Until an answer was seen: this part of a load. Loads are what is waited for; so a short line waits for the first one.
ANSWER_PER_LOAD = 0.25
MODELS_LIMIT = 10_000


class Recent:
    """How often something happened lately, a second: each time counts less as it passes."""

    __slots__ = ("_at", "_since", "_weight")

    def __init__(self, now: float) -> None:
        self._at = self._since = now
        self._weight = 0.0

    def count(self, now: float) -> None:
        self._weight = self._weight * exp((self._at - now) / RECENT_SECONDS) + 1.0
        self._at = now

    def rate(self, now: float) -> float:
        seen = RECENT_SECONDS * (1.0 - exp((self._since - now) / RECENT_SECONDS))
        return self._weight * exp((self._at - now) / RECENT_SECONDS) / max(seen, 1.0)


class Pace:
    """How one target, or every one, answers with one model: seconds a request holds its slot, tokens a second (0: not
    known), and how often lately.
    """

    __slots__ = ("recent", "seconds", "tokens")

    def __init__(self) -> None:
        self.seconds = self.tokens = 0.0
        self.recent: Recent | None = None


class Speeds:
    """Mutable, changed only from the event loop's thread; one for each gateway."""

    def __init__(self) -> None:
        self._asked: dict[str, Recent] = {}
        self._loads: dict[tuple[str, str], float] = {}
        self._paces: dict[tuple[str, str], Pace] = {}
        self._by_model: dict[str, Pace] = {}

    def asked(self, model: str, now: float) -> None:
        """A request for it came."""
        recent = self._asked.get(model)
        if recent is None:
            _bound(self._asked)
            recent = self._asked[model] = Recent(now)
        recent.count(now)

    def learn(self, record: Record, now: float) -> None:
        """A request is over. Only a whole answer from the only target that was asked teaches anything."""
        first, found = record.first_byte_seconds, record.found
        if not found or first is None or record.outcome != "answered" or record.attempts != 1 or record.migrations:
            return
        pace = self._pace(record.target, record.model)
        if record.tokens_out and record.seconds > first:
            tokens = record.tokens_out / (record.seconds - first)
            pace.tokens += NEWEST * (tokens - pace.tokens) if pace.tokens else tokens
        if found == "warm":
            self._answers(pace, record.model, record.seconds - record.queue_seconds, now)
        elif found == "cold":
            self.loaded(record.site, record.model, record.load_seconds or first - record.queue_seconds)
            if record.model not in self._by_model:
                self._answers(pace, record.model, record.seconds - first, now)

    def answered(self, target: str, model: str, seconds: float, now: float) -> None:
        """A request held a slot there for so long, with the model in memory."""
        self._answers(self._pace(target, model), model, seconds, now)

    def loaded(self, site: str, model: str, seconds: float) -> None:
        _bound(self._loads)
        self._loads[site, model] = _blend(self._loads.get((site, model), 0.0), seconds)

    def load_seconds(self, site: str, model: str, size_bytes: float = 0.0) -> float:
        """What a load of it takes at this site: as learnt, else by its size."""
        return self._loads.get((site, model)) or SHORTEST_LOAD_SECONDS + size_bytes / LOAD_BYTES_PER_SECOND

    def answer_seconds(self, target: str, model: str, load_seconds: float) -> float:
        """How long a request holds its slot there: as learnt there, else elsewhere, else guessed from the load."""
        pace = self._paces.get((target, model)) or self._by_model.get(model)
        return pace.seconds if pace and pace.seconds else load_seconds * ANSWER_PER_LOAD

    def tokens_per_second(self, target: str, model: str) -> float:
        """0 when not known."""
        pace = self._paces.get((target, model))
        return pace.tokens if pace else 0.0

    def asked_per_second(self, model: str, now: float) -> float:
        recent = self._asked.get(model)
        return recent.rate(now) if recent else 0.0

    def answered_per_second(self, model: str, now: float) -> float:
        pace = self._by_model.get(model)
        return pace.recent.rate(now) if pace and pace.recent else 0.0

    def as_json(self) -> dict[str, Any]:
        """What was learnt, to be kept over a restart; what is asked for lately is not."""
        return {
            "loads": [[*key, seconds] for key, seconds in self._loads.items()],
            "paces": [[*key, pace.seconds, pace.tokens] for key, pace in self._paces.items()],
            "models": [[model, pace.seconds] for model, pace in self._by_model.items()],
        }

    def restore(self, data: Mapping[str, Any], now: float) -> None:
        """Raises TypeError or ValueError for what `as_json` does not give."""
        self._loads |= {(str(site), str(model)): float(seconds) for site, model, seconds in data.get("loads", ())}
        for target, model, seconds, tokens in data.get("paces", ()):
            pace = self._pace(str(target), str(model))
            pace.seconds, pace.tokens = float(seconds), float(tokens)
        for model, seconds in data.get("models", ()):
            every = self._by_model[str(model)] = Pace()
            every.seconds = float(seconds)
            every.recent = Recent(now)

    def _answers(self, pace: Pace, model: str, seconds: float, now: float) -> None:
        pace.seconds += NEWEST * (seconds - pace.seconds) if pace.seconds else seconds
        every = self._by_model.get(model)
        if every is None:
            _bound(self._by_model)
            every = self._by_model[model] = Pace()
            every.recent = Recent(now)
        every.seconds += NEWEST * (seconds - every.seconds) if every.seconds else seconds
        if every.recent is not None:
            every.recent.count(now)

    def _pace(self, target: str, model: str) -> Pace:
        pace = self._paces.get((target, model))
        if pace is None:
            _bound(self._paces)
            pace = self._paces[target, model] = Pace()
        return pace


def _blend(former: float, newest: float) -> float:
    return former + NEWEST * (newest - former) if former else newest


def _bound(known: dict[Any, Any]) -> None:
    """Targets come and go for months: all is learnt anew in a few requests, so a full table is simply emptied."""
    if len(known) > MODELS_LIMIT:
        known.clear()
