"""Which sites go together: the table says it by spec and by what serves."""

from __future__ import annotations

from typing import Any

import pytest

from arriero.deploy.waves import held_back, waves
from arriero.plan.model import Change, SiteFacts, SitePlan, Step, TargetFacts
from arriero.spec.model import Spec

SITES = {
    "aws-east": {"cloud": "aws", "region": "us-east-1"},
    "aws-west": {"cloud": "aws", "region": "us-west-2", "role": "standby"},
    "azure-east": {"cloud": "azure", "region": "eastus"},
}
CANARY = {"canary": ["5%", "100%"]}


def turns(deploy: dict[str, Any], serving: int) -> list[list[str]]:
    """The waves when release 2 is planned everywhere and `serving` runs."""
    spec = Spec.model_validate(
        {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": SITES, "deploy": deploy}
    )
    plans = [SitePlan(name, spec.sites[name].cloud, 2, 1, ()) for name in SITES]
    target = {name: (TargetFacts("t", name, "ready", "h:1", serving),) if serving else () for name in SITES}
    found = {name: SiteFacts(name, spec.sites[name].cloud, "", targets=target[name]) for name in SITES}
    return [[site.site for site in wave] for wave in waves(spec, plans, found)]


@pytest.mark.parametrize(
    ("deploy", "serving", "expected"),
    [
        ({}, 1, [["aws-east", "aws-west", "azure-east"]]),
        ({"strategy": CANARY}, 1, [["aws-east"], ["azure-east"], ["aws-west"]]),
        ({"strategy": CANARY}, 0, [["aws-east", "aws-west", "azure-east"]]),
        ({"strategy": CANARY}, 2, [["aws-east", "aws-west", "azure-east"]]),
        ({"strategy": CANARY, "order": "together"}, 1, [["aws-east", "aws-west", "azure-east"]]),
        ({"order": "active-first"}, 0, [["aws-east"], ["azure-east"], ["aws-west"]]),
        ({"order": "one-cloud"}, 1, [["aws-east", "aws-west"], ["azure-east"]]),
    ],
)
def test_sites_go_in_the_order_of_the_spec(deploy: dict[str, Any], serving: int, expected: list[list[str]]) -> None:
    assert turns(deploy, serving) == expected


def test_sites_whose_turn_never_came_say_so() -> None:
    step = Step("azure-east", "targets", (Change("azure-east", "create", "k", "n", ""),))
    wave = (SitePlan("azure-east", "azure", 2, 1, (), (step,)), SitePlan("aws-west", "aws", 2, 1, ()))
    assert list(map(str, held_back(wave, "aws-east"))) == [
        "sites.azure-east: not begun, because aws-east failed; it keeps what it had; mend that and run arriero up again"
    ]
