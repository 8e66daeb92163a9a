"""What is said of a release that is on trial: its share of the traffic, and how its answers are beside the others'.

Times are kept as moments of their logarithms: three numbers add up over workers and sites without loss, and ratios of
times are what is judged. A histogram's buckets, which double, could not tell a release that takes half as long again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any

# Times to first tokens are told apart by what makes them differ whatever the release: whether the target met the
# conversation's beginning before (else its prompt cache is cold), and how long the request's body is.
BODY_BYTES = (1024, 4096, 16384)
STRATA = 2 * (len(BODY_BYTES) + 1)
_SHORTEST_SECONDS = 1e-4


@dataclass(frozen=True, slots=True)
class Trial:
    """The targets of `release` at `sites` get `percent` of the requests. 0: none at all. 100: what they replace (other
    releases' targets at these sites) gets only what nobody else can take, and all others are on equal terms.
    """

    release: int
    sites: tuple[str, ...]
    percent: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "trial": asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial | None:
        """Raises ValueError for a share that is none."""
        trial = data["trial"]
        if trial is None:
            return None
        found = cls(int(trial["release"]), tuple(map(str, trial["sites"])), float(trial["percent"]))
        if not 0 <= found.percent <= 100:
            raise ValueError(f"{found.percent:g} is no share: 0 to 100 percent")
        return found


@dataclass(frozen=True, slots=True)
class Moments:
    """Of logarithms: how many, their sum, the sum of their squares."""

    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.squares + other.squares)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.count - other.count, self.total - other.total, self.squares - other.squares)

    @classmethod
    def of(cls, values: Iterable[float]) -> Moments:
        logs = [log(max(value, _SHORTEST_SECONDS)) for value in values]
        return cls(len(logs), sum(logs), sum(each * each for each in logs))


@dataclass(frozen=True, slots=True)
class Tally:
    """What a release's targets at a site did during trials. `attempts` and `errors` count requests sent there and those
    that failed, also where another target answered in the end; `answers` is without those that say nothing by their
    nature (embeddings), `empty` those of them without a text.

    `first_token` by stratum (see `stratum`), of streams; `token_seconds`: of streams, and of answers in one piece.
    """

    attempts: float = 0.0
    errors: float = 0.0
    answers: float = 0.0
    empty: float = 0.0
    first_token: tuple[Moments, ...] = (Moments(),) * STRATA
    token_seconds: tuple[Moments, Moments] = (Moments(), Moments())

    def numbers(self) -> list[float]:
        counts = [self.attempts, self.errors, self.answers, self.empty]
        return counts + [n for m in (*self.first_token, *self.token_seconds) for n in (m.count, m.total, m.squares)]

    @classmethod
    def from_numbers(cls, numbers: Sequence[float]) -> Tally:
        """Raises ValueError for a row of another length."""
        moments = tuple(Moments(*numbers[at : at + 3]) for at in range(4, len(numbers), 3))
        if len(numbers) != WIDTH:
            raise ValueError(f"{len(numbers)} numbers in place of {WIDTH}")
        attempts, errors, answers, empty = numbers[:4]
        return cls(attempts, errors, answers, empty, moments[:STRATA], (moments[STRATA], moments[STRATA + 1]))

    def __add__(self, other: Tally) -> Tally:
        return Tally.from_numbers([a + b for a, b in zip(self.numbers(), other.numbers(), strict=True)])

    def __sub__(self, other: Tally) -> Tally:
        return Tally.from_numbers([a - b for a, b in zip(self.numbers(), other.numbers(), strict=True)])


WIDTH = 4 + 3 * (STRATA + 2)


@dataclass(frozen=True, slots=True)
class Tallies:
    """By site and release."""

    of: Mapping[tuple[str, int], Tally]

    def as_json(self) -> dict[str, Any]:
        rows = [{"site": site, "release": n, "numbers": tally.numbers()} for (site, n), tally in self.of.items()]
        return {"schema": 1, "releases": rows}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tallies:
        rows = data["releases"]
        return cls({(row["site"], int(row["release"])): Tally.from_numbers(row["numbers"]) for row in rows})


def stratum(is_new_there: bool, body_bytes: int) -> int:
    """Which of `Tally.first_token` a request belongs to."""
    size = sum(body_bytes > bound for bound in BODY_BYTES)
    return size + (0 if is_new_there else len(BODY_BYTES) + 1)
