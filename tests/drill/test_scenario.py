"""What each scenario strikes on a spec, and what it can't be played on."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.drill.scenario import names, scenario
from arriero.errors import Refused
from arriero.spec.model import Spec

EAST = {"cloud": "aws", "region": "us-east-1"}
WEST = {"cloud": "aws", "region": "us-west-2", "role": "standby"}
HERE = {"cloud": "local", "hosts": ["127.0.0.1"]}
AZURE = {"cloud": "azure", "region": "eastus", "role": "standby"}


def spec(sites: dict[str, Any], **rest: Any) -> Spec:
    return Spec.model_validate(
        {"name": "llm", "image": "r.example.com/llm", "models": ["llama2"], "sites": sites, **rest}
    )


THREE = {"aws-east": EAST, "aws-west": WEST, "azure-east": AZURE}


def struck(name: str, wanted: Spec, seed: int = 1) -> set[tuple[str, str, str]]:
    return {(one.cloud, one.region, one.kind) for one in scenario(name, wanted, seed).strikes}


def test_a_region_goes_alone_and_a_cloud_with_all_of_its_regions() -> None:
    seen = {frozenset(struck("region-loss", spec(THREE), seed)) for seed in range(30)}
    assert seen == {
        frozenset({("aws", "us-east-1", "lose")}),
        frozenset({("aws", "us-west-2", "lose")}),
        frozenset({("azure", "eastus", "lose")}),
    }
    clouds = {frozenset(struck("cloud-loss", spec(THREE), seed)) for seed in range(30)}
    assert clouds == {
        frozenset({("aws", "us-east-1", "lose"), ("aws", "us-west-2", "lose")}),
        frozenset({("azure", "eastus", "lose")}),
    }


@pytest.mark.parametrize("name", names())
def test_the_same_seed_strikes_the_same(name: str) -> None:
    wanted = spec(THREE, models=[{"name": "llama2:70b", "from": "storage"}])
    assert scenario(name, wanted, 5) == scenario(name, wanted, 5)


def test_the_ledger_s_own_region_and_every_clock_are_struck() -> None:
    assert struck("ledger-loss", spec(THREE)) == {("aws", "us-east-1", "no-objects")}
    assert struck("ledger-loss", spec(THREE, ledger={"authority": "azure"})) == {("azure", "eastus", "no-objects")}
    assert struck("clock-skew", spec(THREE)) == {("aws", "us-east-1", "skew"), ("azure", "eastus", "skew")}


def test_what_was_promised_is_the_pair_s_word_else_that_of_who_is_left() -> None:
    pairs = {"failover": {"pairs": [{"sites": ["aws-east", "azure-east"], "rto": "9s"}]}}
    two = {"aws-east": EAST, "azure-east": AZURE}
    assert scenario("region-loss", spec(two, **pairs), 1).rto_seconds == 9
    assert scenario("region-loss", spec(two), 1).rto_seconds == 5
    cold = {"aws-east": EAST, "azure-east": {**AZURE, "scale": {"min": 0}}}
    lost = {one.sites: one.rto_seconds for seed in range(9) for one in [scenario("region-loss", spec(cold), seed)]}
    assert lost == {("aws-east",): 60, ("azure-east",): 5}


@pytest.mark.parametrize(
    ("name", "sites", "words"),
    [
        ("region-los", THREE, "there is no scenario region-los; choose from region-loss, cloud-loss, "),
        ("region-loss", {"aws-east": EAST}, "region-loss would take every site, so nobody could serve; add"),
        ("cloud-loss", {"aws-east": EAST, "aws-west": WEST}, "cloud-loss would take every site"),
        ("spot-storm", {"here": HERE}, "spot-storm strikes a cloud, and no site is in one; add a site in a cloud"),
        ("slow-storage", THREE, "no model is in storage, so no target reads any; choose another scenario"),
    ],
)  # fmt: skip
def test_what_can_t_be_played_is_refused_in_words(name: str, sites: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused) as refused:
        scenario(name, spec(sites), 1)
    assert str(refused.value.problems[0]).startswith(f"--scenario: {words}")
