"""A site that nobody asks goes to zero, and a request that waits wakes it."""

from __future__ import annotations

from scaled_world import World

from arriero.scale.controller import LOOK_SECONDS


def idle_world() -> World:
    """Only the site in AWS; the other one is at zero and left alone."""
    world = World(
        {
            "scale": {"min": 0, "max": 4, "hold": "60s", "idle": "5m"},
            "sites": {"aws": {"cloud": "aws", "region": "us-east-1"}},
        }
    )
    world.gateway.clouds = [world.aws]
    world.controller.fleets = {"aws": world.aws}
    return world


def minutes(count: float) -> int:
    return int(count * 60 / LOOK_SECONDS)


def test_after_an_idle_time_the_last_one_is_drained_and_goes() -> None:
    world = idle_world()
    world.gateway.open = {"aws-1": 1}
    world.rounds(minutes(10))
    assert world.aws.running == ["aws-1"], "somebody is served"
    world.gateway.open = {}
    world.rounds(minutes(4.5))
    assert world.aws.running == ["aws-1"]
    world.rounds(minutes(4))
    assert world.aws.running == []
    assert world.kinds()[-3:] == ["scale.decided", "scale.draining", "scale.in"]
    assert "nothing was asked for" in world.last_report().reason
    assert world.controller.is_idle


def test_a_request_that_waits_wakes_it_at_once() -> None:
    world = idle_world()
    world.rounds(minutes(12))
    assert world.aws.running == []
    world.gateway.waiting = 1
    world.rounds(1)
    assert len(world.aws.running) == 1
    assert not world.controller.is_idle or world.aws.running
    world.gateway.waiting = 0
    world.rounds(minutes(3))
    assert len(world.aws.running) == 1, "it stays for the idle time"


def test_in_off_hours_a_request_wakes_nobody() -> None:
    world = idle_world()
    world.rounds(minutes(12))
    world.asleep.add("aws")
    world.gateway.waiting = 1
    world.rounds(3)
    assert world.aws.running == []


def test_who_asks_again_while_the_last_one_drains_keeps_it() -> None:
    world = idle_world()
    world.rounds(1)
    while 0 not in world.gateway.weights.values():
        world.rounds(1)
    world.gateway.waiting = 1
    world.rounds(1)
    assert world.aws.running == ["aws-1"]
    assert world.gateway.weights == {"aws-1": 100}
