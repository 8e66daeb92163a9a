"""An amount of money: exact, in one currency, rounded only when it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """US dollars, which is what both clouds' price lists are kept in."""

    amount: Decimal = Decimal(0)

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + other.amount)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - other.amount)

    def __mul__(self, factor: Decimal | int) -> Money:
        return Money(self.amount * factor)

    def __bool__(self) -> bool:
        return bool(self.amount)

    @property
    def rounded(self) -> Decimal:
        """To the cent, halves up, as bills do."""
        return self.amount.quantize(CENT, ROUND_HALF_UP)

    def __str__(self) -> str:
        sign = "-" if self.amount < 0 else ""
        return f"{sign}${abs(self.rounded):,}"
