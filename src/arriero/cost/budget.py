"""Whether what is expected fits into the spec's budget, in sentences. Pure.

A sum that lacks a price is a lower bound: it may say that the budget is passed, never that it is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from arriero.cost.estimate import Estimate
from arriero.cost.money import Money
from arriero.spec.budget import Budget

Standing = Literal["within", "near", "over", "unknown"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """`share` is of the budget, 1 being all of it; `missing` are the items without a known price."""

    standing: Standing
    expected: Money
    monthly: Money
    share: Decimal
    missing: tuple[str, ...]
    sentence: str

    @property
    def warns(self) -> bool:
        return self.standing != "within"

    def as_json(self) -> dict[str, object]:
        return {
            "standing": self.standing,
            "monthly": str(self.monthly.rounded),
            "expected": str(self.expected.rounded),
            "share": float(round(self.share, 4)),
            "unknown": list(self.missing),
            "sentence": self.sentence,
        }


def judge(budget: Budget, estimates: Iterable[Estimate]) -> Judgement | None:
    """None without a budget."""
    if budget.monthly is None:
        return None
    estimates, monthly = tuple(estimates), Money(Decimal(str(float(budget.monthly))))
    expected = sum((estimate.monthly for estimate in estimates), Money())
    missing = tuple(f"{estimate.site} {item.item}" for estimate in estimates for item in estimate.unknown)
    share = expected.amount / monthly.amount
    standing = _standing(share, Decimal(str(float(budget.warn))), bool(missing))
    return Judgement(
        standing, expected, monthly, share, missing, _sentence(standing, expected, monthly, share, missing)
    )


def _standing(share: Decimal, warn: Decimal, is_incomplete: bool) -> Standing:
    if share > 1:
        return "over"
    if share >= warn:
        return "near"
    return "unknown" if is_incomplete else "within"


def _sentence(standing: Standing, expected: Money, monthly: Money, share: Decimal, missing: tuple[str, ...]) -> str:
    said = f"{'at least ' if missing else ''}{expected} of {monthly} a month ({share:.0%})"
    unknown = f"; the price of {', '.join(missing)} is unknown" if missing else ""
    if standing == "over":
        return f"{said}, {Money(expected.amount - monthly.amount)} too much{unknown}"
    return f"{said}{unknown}"
