"""Orders about the sleep of sites in a store: kept in their order, the newest of a site counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arriero.errors import ArrieroError
from arriero.plan.sleep import Orders
from arriero.releases import orders
from arriero.releases.folder import Folder
from arriero.releases.ledger import Ledger
from arriero.spec.schedule import Override

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def order(is_off: bool, hours: int, why: str = "by me") -> Override:
    return Override(is_off, NOON + timedelta(hours=hours), why)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Folder(tmp_path / "ledger"))


def test_nothing_is_ordered_where_nothing_was_written(ledger: Ledger) -> None:
    assert orders.read(ledger) == orders.read(Ledger(None)) == Orders()


def test_the_newest_order_of_each_site_counts(ledger: Ledger) -> None:
    for number, (site, wanted) in enumerate(
        [("a", order(True, 5)), ("b", order(True, 9)), ("a", order(False, 2)), ("c", order(True, 1))]
    ):
        orders.override(ledger, site, wanted, NOON + timedelta(seconds=number))
    orders.slept(ledger, "a", 3, NOON + timedelta(seconds=1))
    orders.slept(ledger, "a", 4, NOON + timedelta(seconds=2))
    found = orders.read(ledger)
    assert found == Orders({"a": order(False, 2), "b": order(True, 9), "c": order(True, 1)}, {"a": 4})


def test_old_orders_are_not_read_any_more(ledger: Ledger) -> None:
    orders.override(ledger, "old", order(True, 5), NOON)
    for number in range(45):
        orders.override(ledger, "new", order(True, number), NOON + timedelta(seconds=number + 1))
    assert orders.read(ledger).overrides == {"new": order(True, 44)}


def test_without_a_ledger_an_order_is_refused_in_words() -> None:
    with pytest.raises(ArrieroError, match="the ledger can't be written: it is not there; deploy the service first"):
        orders.override(Ledger(None), "a", order(True, 1), NOON)
