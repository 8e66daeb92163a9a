"""On demand in Spot's place: who starts, stays and goes, decision by decision and through the loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scaled_world import World, calm

from arriero.errors import CloudError, Problem
from arriero.scale.controller import LOOK_SECONDS
from arriero.scale.stand_ins import Capacity, Move, StandIn, decide

CASES = json.loads((Path(__file__).parents[1] / "cases" / "scale" / "stand_ins.json").read_text())


def standing_in(row: str) -> StandIn:
    name, release, leaving, opened = row.split()
    return StandIn(name, None if release == "?" else int(release), leaving == "leaving", int(opened))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_who_stands_in(case: dict[str, Any]) -> None:
    wanted, unplaced, ready, steady, *release = case["capacity"]
    found = decide(
        Capacity(wanted, unplaced, ready, steady, *(release or [1])), [standing_in(r) for r in case["standing"]]
    )
    expected = {key: tuple(value) if isinstance(value, list) else value for key, value in case["expect"].items()}
    assert {"start": found.start, "keep": found.keep, "drain": found.drain, "stop": found.stop} == {
        "start": 0, "keep": (), "drain": (), "stop": (), **expected
    }  # fmt: skip
    assert bool(found) == bool(expected)
    assert found.why or not (found.start or found.keep or found.drain)


def spot_world(by: str = "hand") -> World:
    """At the site in AWS 1 of 3 is on demand, as long as there is Spot."""
    world = World({"spot": {"base": 1, "share": "100%"}, "scale": {"min": 1, "max": 4, "hold": "60s", "by": by}})
    world.aws.running, world.aws.spot = ["aws-1", "aws-2", "aws-3"], {"aws-2", "aws-3"}
    return world


def test_where_spot_goes_on_demand_comes_and_goes_again_when_it_is_back() -> None:
    world = spot_world()
    world.rounds(2)
    world.aws.take_spot()
    world.rounds(3)
    assert world.aws.running == ["aws-1"]
    assert world.aws.covering == ["cover-0", "cover-1"], "once, however often it looks"
    assert world.aws.count == 3, "ECS goes on asking for them"
    assert "no Spot capacity for 2, 2 on demand stand in" in str(world.last_report().sites[1].why)
    world.gateway.open["cover-0"] = 2
    world.aws.give_spot()
    world.rounds(int(60 / LOOK_SECONDS))
    assert world.aws.covering == ["cover-0", "cover-1"], "Spot may go again at once"
    world.rounds(3)
    assert world.gateway.weights == {"cover-1": 0, "cover-0": 0}
    assert world.aws.covering == ["cover-0"], "who has streams is waited for"
    calm(world)
    world.rounds(1)
    assert world.aws.covering == []
    assert [k for k in world.kinds() if k.startswith("spot")] == [
        "spot.gone",
        "spot.draining",
        "spot.back",
        "spot.back",
    ]


def test_a_new_controller_takes_over_what_stands_in() -> None:
    world = spot_world()
    world.aws.take_spot()
    world.rounds(2)
    assert len(world.aws.covering) == 2
    world.rounds(3, second := world.begin())
    assert len(world.aws.covering) == 2
    world.aws.give_spot()
    world.rounds(12, second)
    assert world.aws.covering == []


def test_while_somebody_deploys_nobody_comes_in_spots_place() -> None:
    world = spot_world()
    world.rights.why = "a deployment is under way: eve"
    world.aws.take_spot()
    world.rounds(3)
    assert world.aws.covering == []
    world.rights.why = ""
    world.rounds(1)
    assert len(world.aws.covering) == 2


def test_a_cloud_without_any_capacity_is_asked_again_later() -> None:
    world = spot_world()
    world.aws.take_spot()
    world.aws.trouble = [CloudError("aws", Problem("nothing can stand in for Spot"))]
    world.rounds(1)
    assert world.aws.covering == []
    world.rounds(2)
    assert world.aws.covering == []
    world.rounds(2)
    assert len(world.aws.covering) == 2
    assert world.kinds().count("scale.failed") == 1


def test_less_spot_leaves_first_from_the_fullest_zone() -> None:
    world = spot_world("load")
    world.aws.running = ["aws-1", "aws-2", "aws-3", "aws-4"]
    world.aws.spot, world.aws.zones = {"aws-2", "aws-3", "aws-4"}, {"aws-2": "a", "aws-3": "b", "aws-4": "a"}
    world.rounds(30)
    drained = [name for name, weight in world.gateway.weights.items() if not weight and name.startswith("aws")]
    assert drained[0] == "aws-4"
    assert "aws-1" not in drained, "the base stays"


def test_nothing_to_do_is_no_move() -> None:
    assert not Move()
