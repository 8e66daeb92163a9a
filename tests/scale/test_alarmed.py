"""The controller at a site that its cloud's alerts scale: by them alone, and what keeps it from acting."""

from __future__ import annotations

from typing import Any

import pytest
from scaled_world import World, busy

from arriero.control.alerts import Alert
from arriero.scale.controller import LOOK_SECONDS, run

SCALE = {
    "min": 1,
    "max": 4,
    "by": "cloud",
    "track": {"cpu": "60%"},
    "cooldown": {"out": "30s", "in": "60s"},
    "alerts": {"url": "https://ops.example.com/alerts", "key_file": "alerts.key"},
}
SITES = {
    "azure": {"cloud": "azure", "region": "eastus", "scale": SCALE},
    "aws": {"cloud": "aws", "region": "us-east-1", "scale": {"by": "hand"}},
}


@pytest.fixture
def world() -> World:
    made = World({"sites": SITES})
    made.azure.made = 2  # new groups get numbers above those that stand, as they do at Azure
    return made


def tell(world: World, rule: str, fired: bool = True) -> None:
    world.controller.alarms.take(Alert(rule, fired))


def reasons(world: World) -> list[str]:
    return [str(event.fields["reason"]) for event in world.told if event.kind == "scale.decided"]


def test_the_gateways_load_changes_nothing_there_and_an_alert_does(world: World) -> None:
    busy(world)
    world.rounds(10)
    assert world.counts == (1, 1)
    tell(world, "azure-1-cpu-high")
    world.rounds(1)
    assert world.counts == (2, 1)
    assert "azure-1-cpu-high has fired" in reasons(world)[-1]
    world.rounds(9)
    assert world.counts == (4, 1)


def test_who_is_watched_stays_and_the_others_are_drained_before_they_go(world: World) -> None:
    tell(world, "azure-1-cpu-high")
    world.rounds(12)
    tell(world, "azure-1-cpu-high", fired=False)
    tell(world, "azure-1-cpu-low")
    world.gateway.open = {"azure-new-2": 1}
    for _ in range(60):
        drained = {name for name, weight in world.gateway.weights.items() if not weight}
        before = set(world.azure.running)
        world.rounds(1)
        assert before - set(world.azure.running) <= drained
        assert "azure-1" in world.azure.running
    assert world.azure.running == ["azure-1", "azure-new-2"]
    del world.gateway.open["azure-new-2"]
    world.rounds(12)
    assert world.azure.running == ["azure-1"]


def test_without_a_gateway_more_are_started_and_nobody_is_let_go(world: World) -> None:
    world.gateway.is_silent = True
    tell(world, "azure-1-cpu-high")
    rounds = iter(range(3))
    run(world.controller, lambda: world.gateway, lambda: next(rounds, None) is None)
    assert world.counts[0] >= 2
    assert "the gateway can't be asked" in reasons(world)[-1]
    grown = world.counts
    tell(world, "azure-1-cpu-high", fired=False)
    tell(world, "azure-1-cpu-low")
    world.clock.sleep(600)
    world.controller.look_blindly()
    assert world.counts == grown


def test_where_no_gateway_was_ever_started_it_is_the_same(world: World) -> None:
    tell(world, "azure-1-cpu-high")
    ends = iter([False, True, True])
    run(world.controller, lambda: None, lambda: next(ends))
    assert world.counts == (2, 1)


def test_an_alert_wakes_the_loop_before_its_time(world: World) -> None:
    asked: list[float] = []

    def is_ended() -> bool:
        asked.append(world.clock.monotonic())
        if len(asked) == 3:
            tell(world, "azure-1-cpu-high")
        return world.counts[0] > 1

    run(world.controller, lambda: world.gateway, is_ended)
    assert world.counts == (2, 1)
    assert asked[-1] < LOOK_SECONDS


@pytest.mark.parametrize("why", ["asleep", "unread", "beyond", "quota", "paused"])
def test_what_keeps_a_count_as_it_is(world: World, why: str) -> None:
    tell(world, "azure-1-cpu-high")
    if why == "asleep":
        world.asleep = {"azure"}
    elif why == "unread":
        world.azure.unread = "it is gone"
    elif why == "beyond":
        world.azure.running = [f"azure-{number}" for number in range(1, 7)]
    elif why == "quota":
        creations: Any = world.controller._creations("azure")
        creations.made(world.clock.monotonic(), 100)
    else:
        world.rights.why = "somebody deploys"
    before = world.counts
    world.rounds(3)
    assert world.counts == before
    world.controller.look_blindly()
    assert world.counts == before
