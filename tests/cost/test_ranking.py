"""Cheap sites come before dear ones; a site of unknown price is never thought cheap."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from arriero.catalog.catalog import Price, Source
from arriero.catalog.prices import Prices
from arriero.cost.ranking import hourly_by_site, hourly_of_a_target
from arriero.spec.model import Spec

EAST = {"cloud": "aws", "region": "us-east-1"}
UNPRICED = {"cloud": "aws", "region": "sa-east-1"}
LOCAL = {"cloud": "local", "hosts": ("127.0.0.1",)}


def spec(**sites: dict[str, Any]) -> Spec:
    return Spec.model_validate({"name": "llm", "image": "acme/ollama", "models": ["llama2"], "sites": sites})


def test_a_target_has_its_own_price_only() -> None:
    # 4 vCPU and 16 GB of Fargate and one address: 4 * 0.04048 + 16 * 0.004445 + 0.005
    assert hourly_of_a_target(spec(a=EAST).site("a")) == 0.23804
    # An Azure site pays for its NAT gateway with or without it: 4 * 0.0405 + 16 * 0.00445
    assert hourly_of_a_target(spec(a={"cloud": "azure", "region": "eastus"}).site("a")) == 0.2332
    assert hourly_of_a_target(spec(a=LOCAL).site("a")) == 0.0


def test_spares_are_the_sites_price_and_no_targets() -> None:
    kept = spec(a={"cloud": "azure", "region": "eastus", "scale": {"spares": 2}}).site("a")
    assert hourly_of_a_target(kept) == 0.2332


def test_an_unknown_price_is_the_dearest_known_one() -> None:
    assert hourly_of_a_target(spec(a=UNPRICED).site("a")) is None
    assert hourly_by_site(spec(a=EAST, b=UNPRICED, c=LOCAL)) == {"a": 0.23804, "b": 0.23804, "c": 0.0}


def test_where_no_price_is_known_no_site_is_preferred() -> None:
    assert hourly_by_site(spec(a=UNPRICED, b={**UNPRICED, "region": "eu-south-1"})) == {"a": 0.0, "b": 0.0}


def test_spot_makes_a_site_cheaper_as_far_as_its_price_is_known() -> None:
    small = {"size": {"cpu": "1 vCPU", "memory": "2GiB", "storage": "20GiB"}, "scale": {"min": 1, "max": 5}}
    ireland = {"cloud": "aws", "region": "eu-west-1", **small}
    # No address of eu-west-1 has a known price, so neither has a target there.
    assert hourly_of_a_target(spec(a={**ireland, "spot": {"base": 1, "share": "50%"}}).site("a")) is None
    mixed = {**EAST, **small, "spot": {"base": 1, "share": "50%"}}
    # Unknown as Spot, at most as dear as on demand: 0.04048 + 2 * 0.004445 + 0.005
    assert hourly_of_a_target(spec(a=mixed).site("a")) == 0.05437
    source = Source("https://example.com/spot", "2026-11-29")
    own = Prices(
        {
            ("aws", "us-east-1", "fargate.spot.vcpu"): Price(Decimal("0.012"), "vCPU-hour", source),
            ("aws", "us-east-1", "fargate.spot.memory"): Price(Decimal("0.001"), "GB-hour", source),
        }
    )
    # 3 of 5 on demand at 0.04937, 2 as Spot at 0.014, all with an address.
    assert hourly_of_a_target(spec(a=mixed).site("a"), own) == round((3 * 0.04937 + 2 * 0.014 + 5 * 0.005) / 5, 6)
