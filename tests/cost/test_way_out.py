"""How private targets at AWS reach out: what each way costs, and which is taken."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from arriero.catalog.catalog import Price, Source
from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cost import way_out
from arriero.cost.estimate import estimate
from arriero.spec.model import ResolvedSite, Spec

ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/llm:1"
SOURCE = Source("https://example.com/prices", "2026-11-29", "")


def site(image: str = ECR, model: Any = "llama2", **network: Any) -> ResolvedSite:
    where = {"cloud": "aws", "region": "us-east-1", "network": {"mode": "private", **network}}
    given = {"name": "llm", "image": image, "models": [model], "sites": {"east": where}}
    return Spec.model_validate(given).site("east")


def prices(endpoint: str) -> Prices:
    return BUILT_IN.with_rows({("aws", "us-east-1", "vpc_endpoint"): Price(Decimal(endpoint), "hour", SOURCE)})


def test_three_endpoints_in_two_zones_are_dearer_than_one_gateway_with_its_address() -> None:
    assert str(way_out.hourly(site(), "nat") * 730) == "$36.50"  # type: ignore[operator]
    assert str(way_out.hourly(site(), "endpoints") * 730) == "$43.80"  # type: ignore[operator]
    assert way_out.cheapest(site()) == "nat"
    assert way_out.sentence(site(), "nat") == (
        "a NAT gateway, $36.50 a month and $0.045 a GB; endpoints of AWS's services would cost $43.80 a month"
    )


@pytest.mark.parametrize(("endpoint", "way"), [("0.008", "endpoints"), ("0.0083", "endpoints"), ("0.00834", "nat")])
def test_the_cheaper_one_by_the_hour_is_taken(endpoint: str, way: str) -> None:
    assert way_out.cheapest(site(), prices(endpoint)) == way


def test_what_the_spec_says_is_taken_whatever_it_costs() -> None:
    assert way_out.cheapest(site(way_out="endpoints")) == "endpoints"
    assert way_out.cheapest(site(way_out="nat"), prices("0.001")) == "nat"


@pytest.mark.parametrize(
    ("image", "model"),
    [
        ("acme/llm:1", "llama2"),
        (ECR.replace("us-east-1", "eu-west-1"), "llama2"),
        (ECR, {"name": "llama2:70b", "from": "storage"}),
    ],
)
def test_endpoints_lead_to_ecr_of_the_region_and_nowhere_else(image: str, model: Any) -> None:
    assert way_out.choices(site(image, model)) == ("nat",)
    assert way_out.cheapest(site(image, model), prices("0.001")) == "nat"


def test_an_estimate_has_the_way_out_in_place_of_public_addresses() -> None:
    items = {line.item: str(line.monthly) for line in estimate(site(), 2).lines}
    assert items["NAT gateway"] == "$32.85"
    assert items["public IPv4"] == "$3.65"
    assert [use.item for use in estimate(site(), 2).by_use] == ["logs", "NAT gateway data"]
    dearer = {line.item: str(line.monthly) for line in estimate(site(way_out="endpoints"), 2).lines}
    assert dearer["endpoints"] == "$43.80"
    assert "public IPv4" not in dearer


def test_an_estimate_has_the_way_that_is_planned_whatever_the_users_own_prices_say() -> None:
    found = estimate(site(), 2, prices("0.001"))
    assert {line.item for line in found.lines} >= {"NAT gateway", "public IPv4"}
    assert [use.item for use in found.by_use] == ["logs", "NAT gateway data"]


def test_a_site_that_sleeps_still_pays_for_its_way_out() -> None:
    assert {line.item for line in estimate(site(), 0).lines} == {"NAT gateway", "public IPv4"}
