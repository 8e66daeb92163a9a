"""The order of sites: by data, through the loop, and as it is explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scaled_world import World, busy

from arriero.cli.explaining import order_lines
from arriero.control.load import GatewayLoad, Pending, together
from arriero.scale.ordering import ranked
from arriero.spec.model import Spec

CASES = json.loads((Path(__file__).parents[1] / "cases" / "scale" / "ordering.json").read_text())
SPEC = Spec.model_validate(
    {
        "name": "llm",
        "image": "acme/llm",
        "models": ["m", "n"],
        "sites": {
            "aws": {"cloud": "aws", "region": "us-east-1"},
            "azure": {"cloud": "azure", "region": "eastus"},
            "spare": {"cloud": "azure", "region": "eastus", "role": "standby", "size": {"cpu": "1 vCPU"}},
        },
    }
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_which_site_is_filled_first(case: dict[str, Any]) -> None:
    assert [each.site for each in ranked(SPEC, case["speeds"])] == case["expect"]


def test_the_order_is_explained_with_price_and_speed() -> None:
    order = ranked(SPEC, {"azure": {"m:latest": 10.0}, "aws": {"m:latest": 40.0}})
    assert order_lines(order) == [
        "More targets start at, in this order (fewer leave in the opposite one):",
        "  1. aws: $0.2380 an hour a target, as fast as any",
        "  2. azure: $0.2332 an hour a target, 25% of the fastest's speed, so $0.9328 for the same work",
        "  3. spare: standby: only when no active site has room; $0.1117 an hour a target, "
        "speed not measured in comparison",
    ]
    assert order_lines(order[:1]) == []


def test_base_load_is_where_work_is_cheapest_and_a_burst_is_given_back_from_elsewhere() -> None:
    world = World()
    world.gateway.speeds = {"azure": {"m:latest": 10.0}, "aws": {"m:latest": 40.0}}
    seen = []
    for _ in range(40):
        busy(world)
        world.rounds(1)
        seen.append(world.counts)
    # Azure is cheaper by the hour, and four times as slow: AWS is filled first, the burst spills.
    assert all(aws == 4 or azure == 1 for azure, aws in seen)
    assert seen[-1] == (4, 4)
    world.gateway.open, world.gateway.waiting = {}, 0
    while world.counts[0] > 1:
        world.rounds(1)
        assert world.counts[1] == 4 or world.counts[0] == 1, "what was spilled is given back first"


def test_speeds_pass_the_control_port_and_are_one_of_several_workers() -> None:
    load = GatewayLoad({}, {"m": Pending(1)}, {"aws": {"m": 12.5}})
    assert GatewayLoad.from_json(json.loads(json.dumps(load.as_json()))) == load
    assert together([load, GatewayLoad({}, {})]).speeds == {"aws": {"m": 12.5}}
