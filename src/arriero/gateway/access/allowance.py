"""What one API key has used, and how long until it may go on. Pure.

A minute is a sliding one: the former minute counts for the part of it that is less than 60 s ago. A limit on tokens or
spend stops the next request, not the one that passes it: how long an answer is, nobody knows before its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from arriero.control.keys import Key

MINUTE, DAY = 60.0, 86_400.0


@dataclass(slots=True)
class Minute:
    """A sliding count over the last 60 s. `now` is in seconds since 1970. What other processes counted is in it too."""

    _index: int = 0
    _count: float = 0.0
    _former: float = 0.0
    _others_count: float = 0.0
    _others_former: float = 0.0

    def add(self, amount: float, now: float) -> None:
        if now // MINUTE > self._index:
            self._turn(now)
        self._count += amount

    def take_back(self, amount: float) -> None:
        """What was added a moment ago."""
        self._count = max(0.0, self._count - amount)

    def level(self, now: float) -> float:
        if now // MINUTE > self._index:
            self._turn(now)
        former = self._former + self._others_former
        return self._count + self._others_count + former * (1 - now % MINUTE / MINUTE)

    def seconds_until_below(self, limit: float, now: float) -> float:
        """0 when it is below already."""
        if self.level(now) < limit:
            return 0.0
        gone, count = now % MINUTE, self._count + self._others_count
        if count < limit:
            return max(MINUTE * (1 - (limit - count) / self._all_former) - gone, 0.0)
        return MINUTE - gone + MINUTE * (1 - limit / count)

    def numbers(self) -> tuple[float, float, float]:
        """This process's own count, for the others to `see`."""
        return self._index, self._count, self._former

    def seen(self) -> tuple[float, float, float]:
        return self._index, self._others_count, self._others_former

    def restore(self, index: float, count: float, former: float) -> None:
        self._index, self._count, self._former = int(index), count, former

    def see(self, others: Iterable[Sequence[float]], now: float) -> None:
        """What other processes counted, as their `numbers` tell; it stands until the next call."""
        self._turn(now)
        self._others_count = self._others_former = 0.0
        for index, count, former in others:
            if index == self._index:
                self._others_count += count
                self._others_former += former
            elif index == self._index - 1:
                self._others_former += count

    @property
    def _all_former(self) -> float:
        return self._former + self._others_former

    def _turn(self, now: float) -> None:
        index = int(now // MINUTE)
        if index > self._index:
            is_next = index == self._index + 1
            self._former = self._count if is_next else 0.0
            self._others_former = self._others_count if is_next else 0.0
            self._index, self._count, self._others_count = index, 0.0, 0.0


@dataclass(slots=True)
class Usage:
    """Mutable, changed from the event loop's thread only. `open`: its requests under way; money without a currency.

    `open_elsewhere` and `spent_elsewhere` are what other processes of this gateway count.
    """

    open: int = 0
    requests: Minute = field(default_factory=Minute)
    tokens: Minute = field(default_factory=Minute)
    spent: float = 0.0
    day: int = 0
    requests_total: int = 0
    refused_total: int = 0
    tokens_in_total: int = 0
    tokens_out_total: int = 0
    open_elsewhere: int = 0
    spent_elsewhere: float = 0.0

    def numbers(self) -> tuple[float, ...]:
        """This process's own counts, for the others to `see`."""
        return *self.requests.numbers(), *self.tokens.numbers(), self.spent, self.day

    def restore(self, numbers: Sequence[float]) -> None:
        """Takes over what a process before this one counted, as its `numbers` told."""
        self.requests.restore(*numbers[:3])
        self.tokens.restore(*numbers[3:6])
        self.spent, self.day = numbers[6], int(numbers[7])

    def see(self, others: Iterable[Sequence[float]], now: float) -> None:
        """What other processes counted, as their `numbers` tell; it stands until the next call."""
        rows, today = list(others), int(now // DAY)
        self.requests.see((row[:3] for row in rows), now)
        self.tokens.see((row[3:6] for row in rows), now)
        self.spent_elsewhere = sum(row[6] for row in rows if row[7] == today)

    def seen(self, now: float) -> tuple[float, ...]:
        """What `see` found, in the form of `numbers`."""
        return *self.requests.seen(), *self.tokens.seen(), self.spent_elsewhere, int(now // DAY)

    def spent_today(self, now: float) -> float:
        today = int(now // DAY)
        if today != self.day:
            self.day, self.spent = today, 0.0
        return self.spent

    def spend(self, amount: float, now: float) -> None:
        self.spent = self.spent_today(now) + amount


def used(key: Key, usage: Usage, now: float) -> Iterator[tuple[str, float]]:
    """Each limit of the key by its name in the file of keys, and the used part of it; 1 when it is reached."""
    if key.concurrency:
        yield "concurrency", (usage.open + usage.open_elsewhere) / key.concurrency
    if key.requests_a_minute:
        yield "requests_a_minute", usage.requests.level(now) / key.requests_a_minute
    if key.tokens_a_minute:
        yield "tokens_a_minute", usage.tokens.level(now) / key.tokens_a_minute
    if key.spend_a_day:
        yield "spend_a_day", (usage.spent_today(now) + usage.spent_elsewhere) / key.spend_a_day


@dataclass(frozen=True, slots=True)
class Shortage:
    """Which limit is reached, in words that follow `this key may `, and when to ask again."""

    what: str
    after_seconds: int


def shortage(key: Key, usage: Usage, now: float) -> Shortage | None:
    """The limit that stops the next request of this key; None when it may go."""
    if key.concurrency is not None and usage.open + usage.open_elsewhere >= key.concurrency:
        return too_many_open(key)
    requests, tokens = key.requests_a_minute, key.tokens_a_minute
    if requests and usage.requests.level(now) >= requests:
        return too_many_requests(key, usage.requests.seconds_until_below(requests, now))
    if tokens and usage.tokens.level(now) >= tokens:
        return too_many_tokens(key, usage.tokens, now)
    if key.spend_a_day is None:
        return None
    return too_much_spent(key, usage.spent_today(now) + usage.spent_elsewhere, now)


def too_many_open(key: Key) -> Shortage:
    return Shortage(f"have {key.concurrency} requests open at a time", 1)


def too_many_requests(key: Key, wait_seconds: float) -> Shortage | None:
    if wait_seconds <= 0:
        return None
    return Shortage(f"ask {key.requests_a_minute} times a minute", _whole(wait_seconds))


def too_many_tokens(key: Key, used: Minute, now: float) -> Shortage | None:
    wait = used.seconds_until_below(key.tokens_a_minute or math.inf, now)
    return Shortage(f"use {key.tokens_a_minute} tokens a minute", _whole(wait)) if wait > 0 else None


def too_much_spent(key: Key, spent: float, now: float) -> Shortage | None:
    if key.spend_a_day is None or spent < key.spend_a_day:
        return None
    return Shortage(f"spend {key.spend_a_day:g} a day", _whole(DAY - now % DAY))


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
