"""A user's own prices beside the built-in ones: `arriero.prices.json`, in the form of `data/prices.json`.

The user's file counts more. A row of the region `*` is for all regions of that cloud that are in the public cloud, as
Azure lists some prices. Written by `arriero prices update`; pure, as the whole folder: reading and writing is others'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from arriero.catalog import catalog
from arriero.catalog.catalog import Price, Source

FILE = "arriero.prices.json"
EVERYWHERE = "*"
# Clouds of their own, with prices of their own: https://learn.microsoft.com/azure/azure-government/
_ELSEWHERE = re.compile(r"(usgov|usdod|china)")

# Cloud, region, item, such as ("aws", "us-east-1", "fargate.vcpu").
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Prices:
    """All that is known: `own` are the user's rows, the catalog's are below them."""

    own: Mapping[Key, Price] = field(default_factory=dict)

    def find(self, cloud: str, region: str, item: str) -> Price | None:
        """The price of an item such as `fargate.vcpu`; None if no source of it was read."""
        found = self.own.get((cloud, region, item))
        if found is None and not _ELSEWHERE.match(region):
            found = self.own.get((cloud, EVERYWHERE, item))
        return found or catalog.price(cloud, region, item)

    def with_rows(self, rows: Mapping[Key, Price]) -> Prices:
        return Prices({**self.own, **rows})


BUILT_IN = Prices()


def parse(document: Any) -> Prices:
    """The user's file. Raises ValueError, `key: what; remedy`."""
    if not isinstance(document, dict) or document.get("currency") != "USD":
        raise ValueError("currency: is not USD; prices are kept in US dollars")
    sources, clouds = _table(document, "sources"), _table(document, "prices")
    known = {name: _source(f"sources.{name}", row) for name, row in sources.items()}
    rows = {}
    for cloud, regions in clouds.items():
        for region in _table(clouds, cloud, "prices."):
            for item, row in _table(regions, region, f"prices.{cloud}.").items():
                rows[cloud, region, item] = _price(f"prices.{cloud}.{region}.{item}", row, known)
    return Prices(rows)


def document(prices: Prices) -> dict[str, Any]:
    """What `parse` reads; each source once, rows by cloud, region and item."""
    names: dict[Source, str] = {}
    tree: dict[str, dict[str, dict[str, list[str]]]] = {}
    for (cloud, region, item), price in sorted(prices.own.items(), key=lambda row: row[0]):
        name = names.setdefault(price.source, f"{cloud}-{len(names) + 1}")
        tree.setdefault(cloud, {}).setdefault(region, {})[item] = [f"{price.amount:f}", price.unit, name]
    sources = {name: _source_row(source) for source, name in names.items()}
    return {"schema": 1, "currency": "USD", "sources": sources, "prices": tree}


def _table(section: Any, key: str, above: str = "") -> dict[str, Any]:
    found = section.get(key)
    if not isinstance(found, dict):
        raise ValueError(f"{above}{key}: is not a section; write it anew: arriero prices update")
    return found


def _source(key: str, row: Any) -> Source:
    named = isinstance(row, dict) and row.keys() <= {"page", "read", "as_of", "note"}
    if not named or not all(isinstance(value, str) for value in row.values()) or not row.get("page"):
        raise ValueError(f"{key}: names no page; say where the price was read: page, read, as_of")
    try:
        date.fromisoformat(row.get("read", ""))
    except ValueError:
        raise ValueError(f"{key}.read: is not a day; write it like 2026-11-29") from None
    return Source(**row)


def _price(key: str, row: Any, sources: Mapping[str, Source]) -> Price:
    if not isinstance(row, list) or len(row) != 3 or not all(isinstance(part, str) for part in row):
        raise ValueError(f'{key}: is no price; write it like ["0.04048", "vCPU-hour", "aws-1"]')
    amount, unit, source = row
    if source not in sources:
        raise ValueError(f"{key}: has no source {source}; a price without a source is not used: add it to sources")
    try:
        number = Decimal(amount)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise ValueError(f"{key}: costs {amount[:40]}; write an amount like 0.04048")
    return Price(number, unit, sources[source])


def _source_row(source: Source) -> dict[str, str]:
    row = {"page": source.page, "read": source.read, "as_of": source.as_of, "note": source.note}
    return {name: value for name, value in row.items() if value or name in ("page", "read")}
