"""The meter of an emulated cloud: what ran, how long, under which tags; its cost APIs answer from it.

Billed is what stood under the service's tag: processors, memory and storage of containers, hours of load balancers and
Front Doors, and addresses that carry tags, by the second, at the catalog's list prices. An item whose price is unknown
is measured, and costs nothing here. Days are those of UTC, as on the clouds' bills. Kept in a file, so that a stage
that starts again goes on counting.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from arriero.catalog import catalog
from arriero.plan.model import SERVICE_TAG, SITE_TAG

_KEPT_EVERY_SECONDS = 5.0
# A gap that no tick measured (the machine slept) is not taken for time in which everything ran.
_LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Something that runs now: of each item, such as `fargate.vcpu`, so many units an hour."""

    region: str
    tags: Mapping[str, str]
    items: Mapping[str, float]


class Meter:
    """Of one cloud, kept in `file`. One thread ticks, others ask."""

    def __init__(self, cloud: str, file: Path) -> None:
        self._cloud, self._file = cloud, file
        self._lock = threading.Lock()
        # Day, service, site, region, item: units times seconds.
        self._counted: dict[tuple[str, str, str, str, str], float] = _read(file)
        self._last: datetime | None = None
        self._kept: datetime | None = None

    def tick(self, now: datetime, running: Iterable[Usage]) -> None:
        """All of it has run since the last tick."""
        with self._lock:
            before, self._last = self._last or now, now
            seconds = (now - before).total_seconds()
            if not 0 < seconds <= _LONGEST_SECONDS:
                return
            for usage in running:
                service, site = usage.tags.get(SERVICE_TAG, ""), usage.tags.get(SITE_TAG, "")
                for item, units in usage.items.items():
                    key = (now.date().isoformat(), service, site, usage.region, item)
                    self._counted[key] = self._counted.get(key, 0.0) + units * seconds
        if self._kept is None or (now - self._kept).total_seconds() >= _KEPT_EVERY_SECONDS:
            self._kept = now
            self.keep()

    def bill(self, service: str, first: date, last: date) -> Mapping[str, Decimal]:
        """US dollars by site, both days included; "" is what carries no site's tag."""
        found: dict[str, Decimal] = {}
        with self._lock:
            counted = list(self._counted.items())
        for (day, owner, site, region, item), units in counted:
            price = catalog.price(self._cloud, region, item)
            if owner == service and price and first <= date.fromisoformat(day) <= last:
                found[site] = found.get(site, Decimal(0)) + price.amount * Decimal(repr(units)) / 3600
        return found

    def keep(self) -> None:
        """Writes it down."""
        with self._lock:
            rows = [[*key, units] for key, units in self._counted.items()]
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(rows))
        fresh.replace(self._file)


def _read(file: Path) -> dict[tuple[str, str, str, str, str], float]:
    if not file.exists():
        return {}
    return {(day, service, site, region, item): units for day, service, site, region, item, units in _rows(file)}


def _rows(file: Path) -> list[tuple[str, str, str, str, str, float]]:
    found: list[tuple[str, str, str, str, str, float]] = json.loads(file.read_text())
    return found
