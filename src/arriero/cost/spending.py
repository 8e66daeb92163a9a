"""What was spent, as the clouds' bills say, beside what was to be expected in the same time. Pure.

Expected is what runs now, at list prices, since the service's first release or the period's beginning, whichever was
later. So it is no check to the cent: counts change, bills come hours late, and they know discounts and free amounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from arriero.cost.estimate import Estimate
from arriero.cost.money import Money

# Beyond this share of the expected, a difference is worth a word.
NOTABLE = Decimal("0.2")
# And below so much nothing is.
LEAST = Money(Decimal("0.05"))


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of a day until now; `runs_since` is when the service began, if that was later."""

    start: datetime
    end: datetime
    runs_since: datetime | None = None

    @property
    def hours(self) -> Decimal:
        """How long the service can have run in it."""
        began = max(self.start, self.runs_since) if self.runs_since else self.start
        return Decimal(max(0, round((self.end - began) / timedelta(seconds=1)))) / 3600


@dataclass(frozen=True, slots=True)
class Comparison:
    """One site: `spent` is None where its cloud's bill does not say."""

    site: str
    expected: Money
    is_complete: bool
    spent: Money | None

    @property
    def word(self) -> str:
        """What the two amounts say of each other."""
        if self.spent is None:
            return "unknown"
        if not self.is_complete and not self.expected:
            return "no price to compare with"
        if max(self.spent, self.expected) < LEAST:
            return "too little to tell yet"
        more = self.spent.amount - self.expected.amount
        if abs(more) <= self.expected.amount * NOTABLE:
            return "as expected"
        if not self.expected:
            return "nothing was expected"
        return f"{abs(more) / self.expected.amount:.0%} {'more' if more > 0 else 'less'} than expected"

    def as_json(self) -> dict[str, object]:
        return {
            "expected": _exact(self.expected) if self.expected or self.is_complete else None,
            "spent": None if self.spent is None else _exact(self.spent),
            "word": self.word,
        }


def compare(
    estimates: Mapping[str, Estimate], spent: Mapping[str, Money | None], period: Period
) -> tuple[Comparison, ...]:
    """By site; of sites on this machine there is no bill."""
    return tuple(
        Comparison(name, estimate.hourly * period.hours, estimate.is_complete, spent.get(name))
        for name, estimate in estimates.items()
        if estimate.cloud != "local"
    )


def per_million_tokens(hourly: Money, tokens_per_second: float) -> Money | None:
    """What a million tokens cost where one answer is streamed after the other at that speed; None without a speed."""
    if tokens_per_second <= 0:
        return None
    return Money(hourly.amount / (Decimal(str(tokens_per_second)) * 3600) * 1_000_000)


def _exact(money: Money) -> str:
    return f"{money.amount.quantize(Decimal('0.000001')):f}"
