"""Counts what requests were, into rows of figures. Label sets are bounded: known paths, statuses, sites, states; models
that a target has, key names, and no more than VALUES_LIMIT of each: the rest is counted as `other`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from arriero.control.load import ENDED_WIDTH
from arriero.gateway.telling import families as f
from arriero.gateway.telling.families import Family
from arriero.gateway.telling.figures import Figures
from arriero.gateway.telling.record import Record

VALUES_LIMIT = 200
# Kinds of requests whose rows are remembered; those of further ones are looked for each time.
KINDS_LIMIT = 2_000
OTHER = "other"
# Rows that no scrape tells: what is over of each model, for the control port (`load.py`).
LOAD_ROW = "load{"
_KINDS = {
    400: "bad request", 401: "no key", 403: "forbidden", 404: "not found", 405: "not found", 408: "slow client",
    413: "too large", 429: "limited", 431: "too large", 502: "target broke", 503: "unavailable", 504: "late",
}  # fmt: skip


class Metrics:
    """Each count is a few additions in memory. `knows` says whether some target has a model of this name."""

    def __init__(self, figures: Figures | None = None, knows: Callable[[str], bool] = lambda _: True) -> None:
        self.figures = figures or Figures()
        self.knows = knows
        self._numbers = self.figures.numbers
        # Where counts go when the block is full: a row that nobody reads.
        self.spill = self.figures.row("", 32) or 0
        self._rows: dict[tuple[str, int, str, str, str], _Rows] = {}
        self._attempts: dict[str, int] = {}
        self._models: dict[str, _Model] = {}
        self._keys: dict[str, tuple[int, int, int]] = {}
        self.limited_keys: set[str] = set()
        self._gauges: dict[str, frozenset[int]] = {}
        self._singles: dict[tuple[Family, str], int] = {}
        # Told as 0 from the start: what appears with its first count has not risen, for Prometheus.
        for family in (f.RETRIES, f.MIGRATIONS):
            self._single(family, "")

    def count(self, record: Record) -> None:
        """`record.path` has to be one of the known ones, or `other`."""
        outcome = record.outcome
        kind = (record.path, record.status, outcome, record.model, record.key)
        rows = self._rows.get(kind)
        if rows is None:
            rows = self._rows_of(record)
            # Who is counted as `other` now may have a name of its own later.
            if len(self._rows) < KINDS_LIMIT and not rows.is_other:
                self._rows[kind] = rows
        numbers, first = self._numbers, record.first_byte_seconds
        numbers[rows.requests] += 1
        self._observe(rows.seconds, f.SECONDS, record.seconds)
        if first is not None:
            self._observe(rows.first_byte, f.SECONDS, first)
        if outcome != "answered":
            self.add(f.ERRORS, _kind_of(record))
        if record.attempts > 1:
            self.add(f.RETRIES, amount=record.attempts - 1)
        if record.migrations:
            self.add(f.MIGRATIONS, amount=record.migrations)
        if rows.model is not None:
            numbers[rows.model_requests] += 1
            self._count_model(rows.model, record)
        if rows.key is not None:
            requests, tokens_in, tokens_out = rows.key
            numbers[requests] += 1
            numbers[tokens_in] += record.tokens_in
            numbers[tokens_out] += record.tokens_out

    def count_attempt(self, result: str) -> None:
        """`result`: answered, unreachable, broke, status (5xx or a missing model), late."""
        row = self._attempts.get(result)
        if row is None:
            row = self._attempts[result] = self.row(f.ATTEMPTS, result)
        self._numbers[row] += 1

    def add(self, family: Family, value: str = "", amount: float = 1.0) -> None:
        """Counts one thing of a family with one label at most, whose values are ours."""
        self._numbers[self._single(family, value)] += amount

    def set(self, family: Family, values: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """Sets all rows of a gauge; those that are not named any more become 0."""
        rows = {self.row(family, *labels): value for labels, value in values}
        for row in self._gauges.get(family.name, frozenset()) - rows.keys():
            self._numbers[row] = 0.0
        for row, value in rows.items():
            self._numbers[row] = value
        self._gauges[family.name] = frozenset(rows)

    def row(self, family: Family, *values: str) -> int:
        row = self.figures.row(family.row_name(*values), family.width)
        return self.spill if row is None else row

    def _rows_of(self, record: Record) -> _Rows:
        path, status, outcome = record.path, record.status, record.outcome
        model = self._model(record.model) if record.model else None
        key = self._key(record.key) if record.key else None
        return _Rows(
            requests=self.row(f.REQUESTS, path, str(status), outcome),
            seconds=self.row(f.SECONDS_IN_ALL, path),
            first_byte=self.row(f.FIRST_BYTE, path),
            model=model,
            model_requests=self.row(f.MODEL_REQUESTS, model.name, outcome) if model else self.spill,
            key=key,
            is_other=(model is not None and model.name == OTHER) or (key is not None and record.key not in self._keys),
        )

    def _count_model(self, model: _Model, record: Record) -> None:
        numbers = self._numbers
        self._observe(model.queue_seconds, f.SECONDS, record.queue_seconds)
        if record.found:
            numbers[model.found[record.found]] += 1
            row = model.load
            numbers[row] += 1
            numbers[row + 1] += record.tokens_in
            numbers[row + 2] += record.tokens_out
            numbers[row + 3] += record.seconds - record.queue_seconds
            numbers[row + 4] += record.received_bytes
        if record.load_seconds > 0:
            self._observe(model.load_seconds, f.SECONDS, record.load_seconds)
        if not record.tokens_out or record.first_byte_seconds is None:
            return
        numbers[model.tokens_in] += record.tokens_in
        numbers[model.tokens_out] += record.tokens_out
        if not record.is_stream:
            return
        self._observe(model.first_token, f.SECONDS, record.first_byte_seconds)
        self._observe(self._single(f.SITE_FIRST_TOKEN, record.site), f.SECONDS, record.first_byte_seconds)
        taken = record.seconds - record.first_byte_seconds
        if record.tokens_out > 1 and taken > 0:
            between = taken / (record.tokens_out - 1)
            self._observe(model.between_tokens, f.TOKEN_SECONDS, between)
            self._observe(model.token_rate, f.TOKEN_RATES, 1 / between)

    def _observe(self, row: int, bounds: tuple[float, ...], value: float) -> None:
        numbers = self._numbers
        numbers[row + bisect_left(bounds, value)] += 1
        numbers[row + len(bounds) + 1] += value

    def _model(self, name: str) -> _Model:
        model = self._models.get(name)
        if model is not None:
            return model
        if len(self._models) >= VALUES_LIMIT or not self.knows(name):
            name = OTHER
        if name not in self._models:
            self._models[name] = _Model(self, name)
        return self._models[name]

    def _key(self, name: str) -> tuple[int, int, int]:
        """The rows of its requests, and of tokens in and out."""
        rows = self._keys.get(name)
        if rows is None:
            label = name if len(self._keys) < VALUES_LIMIT else OTHER
            tokens_in, tokens_out = (self.row(f.KEY_TOKENS, label, direction) for direction in ("in", "out"))
            rows = self.row(f.KEY_REQUESTS, label), tokens_in, tokens_out
            if label != OTHER:
                self._keys[name] = rows
        return rows

    def _single(self, family: Family, value: str) -> int:
        row = self._singles.get((family, value))
        if row is None:
            row = self._singles[family, value] = self.row(family, *((value,) if family.labels else ()))
        return row


@dataclass(frozen=True, slots=True)
class _Rows:
    """Those of one kind of request (path, status, outcome, model and key), looked for once."""

    requests: int
    seconds: int
    first_byte: int
    model: _Model | None
    model_requests: int
    key: tuple[int, int, int] | None
    is_other: bool


class _Model:
    """The rows of one model."""

    __slots__ = (
        "between_tokens", "first_token", "found", "load", "load_seconds", "name", "queue_seconds", "token_rate",
        "tokens_in", "tokens_out",
    )  # fmt: skip

    def __init__(self, metrics: Metrics, name: str) -> None:
        self.name = name
        self.first_token = metrics.row(f.FIRST_TOKEN, name)
        self.between_tokens = metrics.row(f.BETWEEN_TOKENS, name)
        self.token_rate = metrics.row(f.TOKEN_RATE, name)
        self.load_seconds = metrics.row(f.LOAD_SECONDS, name)
        self.found = {found: metrics.row(f.FOUND, name, found) for found in ("warm", "loading", "cold")}
        self.queue_seconds = metrics.row(f.QUEUE_SECONDS, name)
        self.tokens_in = metrics.row(f.TOKENS_IN, name)
        self.tokens_out = metrics.row(f.TOKENS_OUT, name)
        clean = name.encode("utf-8", "replace").decode().replace("\0", "")
        load = metrics.figures.row(f"{LOAD_ROW}{clean}}}", ENDED_WIDTH)
        self.load = metrics.spill if load is None else load


def _kind_of(record: Record) -> str:
    if record.outcome in ("cut", "gone"):
        return {"cut": "cut in mid-stream", "gone": "client gone"}[record.outcome]
    return _KINDS.get(record.status, "refused by target" if record.status < 500 else "target failed")
