"""Counts what each release's targets do while one is on trial, into rows that add up over all processes. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from arriero.control.trials import STRATA, WIDTH, Moments, Tallies, Tally, stratum
from arriero.gateway.telling.figures import Figures, add_up
from arriero.gateway.telling.record import Record

_ROW = "release{"
_FAILURES = ("broke", "status", "late", "cut", "unreachable")
# Whoever answers here has something to say.
_SAYING = frozenset((
    "/api/chat", "/api/generate", "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages",
))  # fmt: skip
# A model that had to be loaded first says nothing of a release, whose models are in memory before it gets traffic.
_LOAD_SECONDS = 0.5


class TallyBook:
    """Counts go on from one trial to the next: who judges one takes what stood at its beginning away."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._rows: dict[tuple[str, int], int | None] = {}

    def attempt(self, site: str, release: int | None, result: str) -> None:
        """A target was left, with this result (see `Metrics.count_attempt`)."""
        if result == "answered":
            self._add(site, release, 0, 1.0)
        elif result in _FAILURES:
            self._add(site, release, 0, 1.0)
            self._add(site, release, 1, 1.0)

    def answered(self, record: Record) -> None:
        """A request is over. Of one that more than one target had a part in only the attempts are counted."""
        if record.outcome != "answered" or record.path not in _SAYING or record.attempts > 1 or record.migrations:
            return
        site, release = record.site, record.release
        self._add(site, release, 2, 1.0)
        if record.is_empty:
            self._add(site, release, 3, 1.0)
        if record.first_byte_seconds is None or record.load_seconds > _LOAD_SECONDS:
            return
        first = record.first_byte_seconds - record.queue_seconds
        if record.is_stream:
            self._observe(site, release, stratum(record.is_new_there, record.received_bytes), first)
        rest = record.seconds - record.first_byte_seconds if record.is_stream else first
        tokens = record.tokens_out - record.is_stream
        if tokens > 0 and rest > 0:
            self._observe(site, release, STRATA + (not record.is_stream), rest / tokens)

    def _observe(self, site: str, release: int | None, place: int, seconds: float) -> None:
        moments = Moments.of((seconds,))
        for offset, value in enumerate((moments.count, moments.total, moments.squares)):
            self._add(site, release, 4 + 3 * place + offset, value)

    def _add(self, site: str, release: int | None, place: int, amount: float) -> None:
        if release is None:
            return
        key = (site, release)
        if key not in self._rows:
            self._rows[key] = self._figures.row(_name(site, release), WIDTH)
        row = self._rows[key]
        if row is not None:
            self._figures.numbers[row + place] += amount


def told(blocks: Iterable[Figures]) -> Tallies:
    """Of all processes together."""
    rows = {name: numbers for name, numbers in add_up(blocks).items() if name.startswith(_ROW)}
    found = {}
    for name, numbers in rows.items():
        site, _, release = name.removeprefix(_ROW).removesuffix("}").rpartition(" ")
        if len(numbers) == WIDTH and any(numbers):
            found[site, int(release)] = Tally.from_numbers(numbers)
    return Tallies(found)


def _name(site: str, release: int) -> str:
    return f"{_ROW}{site} {release}}}"
