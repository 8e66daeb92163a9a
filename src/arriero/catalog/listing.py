"""What the clouds' own price lists say, read out of their JSON: rows for `prices.py`, and what was left out, and why.

Two forms are known: an offer of the AWS Price List Bulk API (`aws_offer.py`) and an answer of the Azure Retail Prices
API (`azure_retail.py`). An item of which a list says two prices is left out: neither is guessed to be the right one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from arriero.catalog.catalog import Price
from arriero.catalog.prices import Key


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list that is an item of ours."""

    key: Key
    price: Price


@dataclass(frozen=True, slots=True)
class Listing:
    """Of one list: `rows` to keep; `left_out` are sentences."""

    rows: Mapping[Key, Price]
    left_out: tuple[str, ...] = ()


def gathered(rows: Iterable[Row], left_out: Iterable[str] = ()) -> Listing:
    """Of each item the one price that the rows agree upon."""
    found: dict[Key, Price] = {}
    unclear: dict[Key, str] = {}
    for row in rows:
        before = found.setdefault(row.key, row.price)
        if before.amount != row.price.amount:
            cloud, region, item = row.key
            amounts = " and ".join(str(amount) for amount in sorted((before.amount, row.price.amount)))
            unclear[row.key] = f"{item} in {region} of {cloud} has two prices, {amounts}"
    kept = {key: price for key, price in found.items() if key not in unclear}
    return Listing(kept, (*unclear.values(), *dict.fromkeys(left_out)))


def form(document: Any) -> str:
    """`aws` or `azure`; empty for anything else."""
    if not isinstance(document, dict):
        return ""
    if isinstance(document.get("products"), dict) and isinstance(document.get("terms"), dict):
        return "aws"
    return "azure" if isinstance(document.get("Items"), list) else ""
