"""What requests add up to: by site, model and key, and over the time, in rows of equal length. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, exp, floor, log
from typing import Any

from arriero.pipeline.prometheus.objectives import ERROR_BUDGET, FIRST_TOKEN_SECONDS, SLOW_BUDGET

# Each bucket is 2 % longer than the one before it, so a quantile is within 2 % of the true one.
_STEP = log(1.02)
_LEAST = 0.0001
# Names beyond these are counted together: clients choose what models they ask for.
NAMES_LIMIT = 200
OTHER = "other"
ROWS_MOST = 240
ROW_SECONDS = (300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 24 * 3600)


@dataclass
class Spread:
    """Times, counted in narrow buckets."""

    count: int = 0
    _buckets: dict[int, int] = field(default_factory=dict)

    def add(self, seconds: float) -> None:
        bucket = ceil(log(max(seconds, _LEAST)) / _STEP)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1

    def quantile(self, part: float) -> float | None:
        """Seconds; None where nothing was counted."""
        left = ceil(part * self.count)
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return exp(bucket * _STEP)
        return None


@dataclass
class Count:
    """Requests over: those that were ours to answer are `answered` or `bad` (failed, or cut in mid-stream).

    `late` are streamed answers whose first token came after the time of the objective.
    """

    answered: int = 0
    bad: int = 0
    refused: int = 0
    gone: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    late: int = 0
    migrated: int = 0
    retried: int = 0
    first_tokens: Spread = field(default_factory=Spread)

    def add(self, data: Mapping[str, Any]) -> None:
        """A gateway's line about a request."""
        outcome = data.get("outcome")
        self.answered += outcome == "answered"
        self.bad += outcome in ("failed", "cut")
        self.refused += outcome == "refused"
        self.gone += outcome == "gone"
        self.tokens_in += _whole(data.get("tokens_in"))
        self.tokens_out += _whole(data.get("tokens_out"))
        self.migrated += _whole(data.get("migrations")) > 0
        self.retried += _whole(data.get("attempts")) > 1
        first = data.get("first_byte_ms")
        if data.get("stream") is True and _whole(data.get("tokens_out")) and isinstance(first, int | float):
            self.first_tokens.add(first / 1000)
            self.late += first / 1000 > FIRST_TOKEN_SECONDS

    @property
    def ours(self) -> int:
        return self.answered + self.bad

    @property
    def availability(self) -> float | None:
        """The part that was answered, of what was ours to answer."""
        return self.answered / self.ours if self.ours else None

    @property
    def in_time(self) -> float | None:
        """The part of streamed answers that began within the objective's time."""
        return 1 - self.late / self.first_tokens.count if self.first_tokens.count else None

    @property
    def error_budget_left(self) -> float | None:
        """1: nothing of it is used; below 0: more than there was."""
        return None if self.availability is None else 1 - (1 - self.availability) / ERROR_BUDGET

    @property
    def slow_budget_left(self) -> float | None:
        return None if self.in_time is None else 1 - (1 - self.in_time) / SLOW_BUDGET


@dataclass
class Totals:
    """`start` and `end` in seconds since 1970. `rows` by their number from the start, `row_seconds` each."""

    start: float
    end: float
    whole: Count = field(default_factory=Count)
    sites: dict[str, Count] = field(default_factory=dict)
    models: dict[str, Count] = field(default_factory=dict)
    keys: dict[str, Count] = field(default_factory=dict)
    rows: dict[int, Count] = field(default_factory=dict)
    row_seconds: int = field(init=False)

    def __post_init__(self) -> None:
        wanted, day = (self.end - self.start) / ROWS_MOST, ROW_SECONDS[-1]
        self.row_seconds = next((seconds for seconds in ROW_SECONDS if seconds >= wanted), ceil(wanted / day) * day)

    def add(self, at: float, data: Mapping[str, Any]) -> None:
        """A gateway's line about a request that was over at this moment. What is answered by no target is left out,
        unless it failed or was refused: probes and lists would make any availability a good one.
        """
        if data.get("outcome") == "answered" and not data.get("target"):
            return
        row = floor((at - self.start) / self.row_seconds)
        counts = [self.whole, self.rows.setdefault(row, Count())]
        for names, key in ((self.sites, "site"), (self.models, "model"), (self.keys, "key")):
            if name := str(data.get(key) or ""):
                counts.append(_of(names, name))
        for count in counts:
            count.add(data)


def _of(names: dict[str, Count], name: str) -> Count:
    if name not in names and len(names) >= NAMES_LIMIT:
        name = OTHER
    return names.setdefault(name, Count())


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
