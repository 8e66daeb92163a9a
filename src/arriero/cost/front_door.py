"""What a Front Door is expected to cost: a base fee by its tier, and by use what goes through it."""

from __future__ import annotations

from decimal import Decimal

from arriero.catalog.prices import BUILT_IN, EVERYWHERE, Prices
from arriero.cost.estimate import ByUse, Estimate, Line, Unknown
from arriero.cost.money import Money
from arriero.spec.front_door import NAME

_USES = (
    ("requests through the Front Door", "requests", "10,000 requests"),
    ("data from the Front Door to clients", "data", "GB"),
)


def estimate(sku: str, region: str, prices: Prices = BUILT_IN) -> Estimate:
    """Azure has one price for it everywhere, and others by where clients are."""
    price = prices.find("azure", EVERYWHERE, f"front_door.{sku}")
    known = [Line("Front Door", Decimal(1), price.unit, Money(price.amount), price.source)] if price else []
    unknown = [] if price else [Unknown("Front Door", Decimal(1), "hour")]
    uses = tuple(_use(item, f"front_door.{sku}.{key}", unit, prices) for item, key, unit in _USES)
    return Estimate(NAME, "azure", region, 0, tuple(known), uses, tuple(unknown))


def _use(item: str, key: str, unit: str, prices: Prices) -> ByUse:
    price = prices.find("azure", EVERYWHERE, key)
    return ByUse(item, unit, Money(price.amount) if price else None, price.source if price else None)
