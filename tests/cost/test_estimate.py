"""Each case of `cases/cost` spells out its arithmetic; the estimate comes to the same and sums nothing unknown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arriero.catalog.catalog import Price, Source
from arriero.catalog.prices import BUILT_IN
from arriero.cost.estimate import Estimate, estimate
from arriero.cost.money import Money
from arriero.spec.model import Spec

CATALOG = Path(__file__).parents[2] / "src" / "arriero" / "catalog" / "data"
CASES = sorted((Path(__file__).parents[1] / "cases" / "cost").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_an_estimate_is_the_arithmetic_of_its_case(path: Path) -> None:
    case = json.loads(path.read_text())
    found = _estimate(case["site"], case["count"], case.get("alb"), case.get("models", ["llama2"]))
    assert found.hourly == Money(Decimal(case["hourly"]))
    assert str(found.monthly.rounded) == case["monthly"]
    assert [item.item for item in found.unknown] == case["unknown"]


def test_forty_cases_name_their_sources_and_each_source_its_page_and_day() -> None:
    sources = json.loads((CATALOG / "prices.json").read_text())["sources"]
    cases = [json.loads(path.read_text()) for path in CASES]
    assert len(cases) >= 40
    assert sum(case["hourly"] != "0" for case in cases) >= 35
    for case in cases:
        named = [name for name in case.get("source", "").split(", ") if name not in ("", "none")]
        assert named or case["hourly"] == "0"
        assert all(sources[name]["page"].startswith("https://") and sources[name]["read"] for name in named)


def test_every_line_says_where_its_price_is_from() -> None:
    for line in _estimate({"cloud": "aws", "region": "us-east-1"}, 2).lines:
        assert line.source.page.startswith("https://")
        assert line.source.read


def test_what_is_unknown_is_said_and_never_zero() -> None:
    found = _estimate({"cloud": "aws", "region": "sa-east-1"}, 2)
    assert found.sentence == "price unknown"
    assert found.as_json()["monthly"] is None
    assert not found.is_complete


@pytest.mark.parametrize(
    ("site", "sentence"),
    [
        ({"cloud": "aws", "region": "us-east-1"}, "$347.54 a month"),
        ({"cloud": "azure", "region": "westeurope"}, "at least $36.50 a month (price of vCPU, memory unknown)"),
        ({"cloud": "local", "hosts": ("127.0.0.1",)}, "no bill"),
    ],
)
def test_the_price_is_said_in_a_few_words(site: dict[str, Any], sentence: str) -> None:
    assert _estimate(site, 2).sentence == sentence


def test_an_estimate_can_be_written_as_json() -> None:
    text = json.dumps(_estimate({"cloud": "azure", "region": "westeurope"}, 2).as_json())
    assert json.loads(text)["by_use"] == [
        {
            "item": "NAT gateway data",
            "unit": "GB",
            "unit_price": "0.045",
            "source": json.loads(text)["lines"][0]["source"],
        }
    ]


@pytest.mark.parametrize(
    ("value", "region", "price"),
    [
        ("enhanced", "us-east-1", Money(Decimal("0.07"))),
        ("enhanced", "eu-west-1", None),
        ("enabled", "us-east-1", None),
    ],
)
def test_container_insights_is_billed_by_figures_and_in_no_sum(value: str, region: str, price: Money | None) -> None:
    site = {"cloud": "aws", "region": region}
    found = _estimate(site, 2, metrics={"container_insights": value})
    assert [(use.unit, use.unit_price) for use in found.by_use if use.item == "Container Insights"] == [
        ("metric-month", price)
    ]
    assert found.hourly == _estimate(site, 2).hourly


def test_container_insights_that_nobody_asked_for_or_that_is_off_costs_nothing() -> None:
    site = {"cloud": "aws", "region": "us-east-1"}
    off = _estimate(site, 2, metrics={"container_insights": "disabled"})
    assert [use.item for use in off.by_use] == [use.item for use in _estimate(site, 2).by_use] == ["logs"]


def test_an_estimate_has_the_machine_that_is_planned_at_the_users_own_price() -> None:
    own = {
        ("aws", "us-east-1", f"ec2.{name}"): Price(Decimal(amount), "machine-hour", Source("https://example.com", ""))
        for name, amount in (("g4dn.xlarge", "0.5"), ("g4dn.4xlarge", "0.1"))
    }
    small = {"cloud": "aws", "region": "us-east-1", "gpu": "T4", "size": {"memory": "14GiB"}}
    found = estimate(_spec(small).site("one"), 2, BUILT_IN.with_rows(own))
    assert (found.lines[0].item, found.lines[0].unit_price) == ("g4dn.xlarge", Money(Decimal("0.5")))


def test_money_is_exact_and_rounded_only_when_shown() -> None:
    third = Money(Decimal("0.335"))
    assert str(third) == "$0.34"
    assert str(third + third) == "$0.67"
    assert str(Money(Decimal("-1234.5"))) == "-$1,234.50"
    assert not third - third
    assert str(sum([third] * 3, Money())) == "$1.01"


def _estimate(
    site: dict[str, Any],
    count: int,
    alb: dict[str, Any] | None = None,
    models: Sequence[Any] = ("llama2",),
    **more: Any,
) -> Estimate:
    return estimate(_spec(site, alb, models, **more).site("one"), count)


def _spec(
    site: dict[str, Any], alb: dict[str, Any] | None = None, models: Sequence[Any] = ("llama2",), **more: Any
) -> Spec:
    site = {**site, "hosts": tuple(site.get("hosts", ()))}
    whole = {"name": "llm", "image": "acme/ollama", "models": models, "sites": {"one": site}}
    return Spec.model_validate({**whole, **({"ingress": {"alb": alb}} if alb else {}), **more})
