"""What one API key has used, and how long until it may go on. Pure.

A minute is a sliding one: the former minute counts for the part of it that is less than 60 s ago. A limit on tokens or
spend stops the next request, not the one that passes it: how long an answer is, nobody knows before its end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from arriero.control.keys import Key

MINUTE, DAY = 60.0, 86_400.0


@dataclass(slots=True)
class Minute:
    """A sliding count over the last 60 s. `now` is in seconds since 1970."""

    _index: int = 0
    _count: float = 0.0
    _former: float = 0.0

    def add(self, amount: float, now: float) -> None:
        self._turn(now)
        self._count += amount

    def level(self, now: float) -> float:
        self._turn(now)
        return self._count + self._former * (1 - now % MINUTE / MINUTE)

    def seconds_until_below(self, limit: float, now: float) -> float:
        """0 when it is below already."""
        if self.level(now) < limit:
            return 0.0
        gone = now % MINUTE
        if self._count < limit:
            return max(MINUTE * (1 - (limit - self._count) / self._former) - gone, 0.0)
        return MINUTE - gone + MINUTE * (1 - limit / self._count)

    def _turn(self, now: float) -> None:
        index = int(now // MINUTE)
        if index > self._index:
            self._former = self._count if index == self._index + 1 else 0.0
            self._index, self._count = index, 0.0


@dataclass(slots=True)
class Usage:
    """Mutable, changed from the event loop's thread only. `open`: its requests under way; money without a currency."""

    open: int = 0
    requests: Minute = field(default_factory=Minute)
    tokens: Minute = field(default_factory=Minute)
    spent: float = 0.0
    day: int = 0
    requests_total: int = 0
    refused_total: int = 0
    tokens_in_total: int = 0
    tokens_out_total: int = 0

    def spent_today(self, now: float) -> float:
        today = int(now // DAY)
        if today != self.day:
            self.day, self.spent = today, 0.0
        return self.spent

    def spend(self, amount: float, now: float) -> None:
        self.spent = self.spent_today(now) + amount


@dataclass(frozen=True, slots=True)
class Shortage:
    """Which limit is reached, in words that follow `this key may `, and when to ask again."""

    what: str
    after_seconds: int


def shortage(key: Key, usage: Usage, now: float) -> Shortage | None:
    """The limit that stops the next request of this key; None when it may go."""
    if key.concurrency is not None and usage.open >= key.concurrency:
        return Shortage(have_open(key), 1)
    if key.requests_a_minute is not None:
        wait = usage.requests.seconds_until_below(key.requests_a_minute, now)
        if wait > 0:
            return Shortage(f"ask {key.requests_a_minute} times a minute", _whole(wait))
    if key.tokens_a_minute is not None:
        wait = usage.tokens.seconds_until_below(key.tokens_a_minute, now)
        if wait > 0:
            return Shortage(f"use {key.tokens_a_minute} tokens a minute", _whole(wait))
    if key.spend_a_day is not None and usage.spent_today(now) >= key.spend_a_day:
        return Shortage(spend(key), _whole(DAY - now % DAY))
    return None


def have_open(key: Key) -> str:
    return f"have {key.concurrency} requests open at a time"


def spend(key: Key) -> str:
    return f"spend {key.spend_a_day:g} a day"


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
