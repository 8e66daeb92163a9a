"""What a Front Door costs: by its tier, with the source of each price; unknown where none is known."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arriero.catalog import catalog
from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cli import costing
from arriero.cli.cost_lines import statement_lines
from arriero.clouds.bills import Bill
from arriero.cost import front_door
from arriero.cost.money import Money
from arriero.cost.spending import Period
from arriero.cost.statement import state
from arriero.errors import Problem
from arriero.spec.load import Loaded
from arriero.spec.model import Spec

ALB = {
    "hosts": ["llm.example.com"],
    "certificates": ["arn:aws:acm:us-east-1:123456789012:certificate/0a1b"],
    "scheme": "internet-facing",
    "allow_from": ["0.0.0.0/0"],
    "edges": {"keys": ["arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"]},
}
START, NOON = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 3, 12, tzinfo=UTC)


def spec(door: dict[str, Any] | None, **more: Any) -> Spec:
    ingress = {"alb": ALB, **({"front_door": door} if door is not None else {})}
    sites = {"east": {"cloud": "aws", "region": "us-east-1"}}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": sites, "ingress": ingress}
    return Spec.model_validate({**whole, **more})


WITH, WITHOUT = spec({"region": "westeurope"}), spec(None)


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


def test_a_forecast_has_a_line_of_it_in_the_sums_and_in_the_budget() -> None:
    bare, found = (state(each, {}) for each in (WITHOUT, WITH))
    lines = statement_lines(found)
    row = next(line for line in lines if line.startswith("front-door"))
    assert row.split() == ["front-door", "planned", "$0.0479", "$35.00", "$35.00"]
    assert bare.front_door is None
    assert not any("front-door" in line for line in statement_lines(bare))
    together = next(line for line in lines if line.startswith("together"))
    assert str(bare.sites[0].now.monthly + Money(Decimal("35.0000033"))) in together
    assert any(
        line.startswith("By use, in no sum: front-door: requests through the Front Door $0.009") for line in lines
    )
    judged = state(spec({"region": "westeurope"}, budget={"monthly": "1000 USD"}), {}).budget
    assert judged is not None
    assert judged.expected.rounded == (bare.sites[0].now.monthly + Money(Decimal("35.0000033"))).rounded


def test_its_bill_is_held_against_its_fee_by_its_tag() -> None:
    spent = {"east": Money(Decimal(29)), "front-door": Money(Decimal("2.9")), "old": Money(Decimal(1))}
    found = state(WITH, {"east": 2}, BUILT_IN, None, spent, Period(START, NOON), door_stands=True)
    assert "  front-door: $2.90; expected $2.88: as expected" in statement_lines(found)
    assert found.elsewhere == Money(Decimal(1))
    told = found.as_json()
    assert told["front_door"] == {
        "name": "front-door",
        "cloud": "azure",
        "region": "westeurope",
        "stands": True,
        "price": front_door.estimate("standard", "westeurope").as_json(),
    }
    assert told["spent"]["sites"]["front-door"]["spent"] == "2.900000"  # type: ignore[index]


def test_one_that_the_spec_no_longer_has_is_billed_at_no_site() -> None:
    spent = {"east": Money(), "front-door": Money(Decimal("2.9"))}
    found = state(WITHOUT, {"east": 2}, BUILT_IN, None, spent, Period(START, NOON))
    assert found.elsewhere == Money(Decimal("2.9"))


@pytest.mark.parametrize(
    ("bill", "expected"),
    [
        (Bill("azure"), Money()),
        (Bill("azure", {"front-door": Decimal(3)}), Money(Decimal(3))),
        (Bill("azure", problem=Problem("Azure does not answer")), None),
    ],
)
def test_a_bill_without_its_tag_has_nothing_of_it_and_one_that_is_not_read_says_nothing(
    bill: Bill, expected: Money | None
) -> None:
    assert costing._spent((Bill("aws"), bill), WITH) == {"east": Money(), "front-door": expected}


def test_its_prices_are_listed_with_those_of_sites() -> None:
    rows = costing._priced(Loaded(WITH, Path("arriero.yaml"), {}))
    assert [item for cloud, region, item, price in rows if cloud == "azure" and region == "westeurope" and price] == [
        "Front Door",
        "requests through the Front Door",
        "data from the Front Door to clients",
    ]
