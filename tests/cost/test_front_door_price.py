"""What a Front Door costs: by its tier, with the source of each price; unknown where none is known."""

from __future__ import annotations

import pytest

from arriero.catalog import catalog
from arriero.catalog.prices import Prices
from arriero.cost import front_door


@pytest.mark.parametrize(("sku", "sentence"), [("standard", "$35.00 a month"), ("premium", "$330.00 a month")])
def test_its_base_fee_goes_by_its_tier(sku: str, sentence: str) -> None:
    found = front_door.estimate(sku, "westeurope")
    assert found.sentence == sentence
    assert [str(use.unit_price) for use in found.by_use] == ["$0.01" if sku == "standard" else "$0.02", "$0.08"]
    assert all(line.source.page.startswith("https://") and line.source.read for line in found.lines)


def test_a_price_that_no_source_says_is_unknown() -> None:
    found = front_door.estimate("basic", "westeurope")
    assert (found.sentence, found.is_complete) == ("price unknown", False)
    assert [use.unit_price for use in found.by_use] == [None, None]


def test_the_users_own_price_counts_more() -> None:
    built_in = catalog.price("azure", "*", "front_door.standard")
    assert built_in is not None
    own = Prices(
        {("azure", "*", "front_door.standard"): built_in.__class__(built_in.amount * 2, "hour", built_in.source)}
    )
    assert front_door.estimate("standard", "westeurope", own).sentence == "$70.00 a month"
