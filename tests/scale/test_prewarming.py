"""Targets that run before their load: by hours that the spec names, and by the usual day."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from scaled_world import World

from arriero.clock import ManualClock
from arriero.scale.autoscale import Load, Policy, decide
from arriero.scale.controller import LOOK_SECONDS
from arriero.scale.demand import DAY, SLOT_SECONDS, Demand

MONDAY = datetime(2026, 11, 30, tzinfo=UTC)
IDLE = Policy(min=0, max=4, idle_seconds=300.0)


def load(**more: float) -> Load:
    whole = {"count": 0, "ready": 0, "asked": 0.0, "asked_now": 0.0, "swing": 1.0, "growth": 1.0, "waiting": 0.0}
    return Load(**{**whole, "idle_for": 9999.0, "start_seconds": 60.0, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "count", "reason"),
    [
        ({}, 0, "nothing was asked"),
        ({"due": 0.005}, 0, "nothing was asked"),
        ({"due": 0.3}, 1, "1 are the least"),
        ({"due": 1.8}, 3, "1.80 targets' work is usual by then"),
        ({"due": 1.8, "waiting": 60.0}, 4, "is usual by then"),
        ({"due": 9.0}, 4, "4 are the most"),
    ],
)
def test_what_is_usual_is_started_before_it_is_asked(more: dict[str, float], count: int, reason: str) -> None:
    found = decide(0.0, load(**more), IDLE)
    assert found.count == count
    assert reason in found.reason


def busy_mornings() -> Demand:
    """A week: on weekdays from eight to nine two targets' work, else nothing."""
    demand = Demand()
    start = MONDAY.timestamp()
    for step in range(int(7 * DAY / SLOT_SECONDS)):
        at = start + step * SLOT_SECONDS
        is_morning = 8.0 <= (at % DAY) / 3600.0 < 9.0 and step * SLOT_SECONDS < 5 * DAY
        for part in range(90):
            demand.asked(at + part * 10.0, 20.0 if is_morning else 0.0)
    return demand


def test_the_usual_day_is_known_ahead_and_over_a_restart() -> None:
    demand, next_week = busy_mornings(), MONDAY.timestamp() + 7 * DAY
    other = Demand()
    other.restore(json.loads(json.dumps(demand.learnt())))
    for each in (demand, other):
        assert each.usual(next_week + 7.5 * 3600, 360.0) == 0.0
        assert each.usual(next_week + 7.9 * 3600, 360.0) > 0.5
        assert each.usual(next_week + 8.5 * 3600, 360.0) == pytest.approx(2.0)
        assert each.usual(next_week + 5 * DAY + 8.5 * 3600, 360.0) == 0.0
    assert Demand().usual(next_week, 360.0) == 0.0


def test_a_weekend_that_was_never_seen_is_not_taken_for_a_weekday() -> None:
    """Nor the other way: what is asked then is followed, and nothing is started for a rise that may not come."""
    seen, friday, saturday = busy_mornings(), MONDAY.timestamp() + 11 * DAY, MONDAY.timestamp() + 12 * DAY
    weekdays, weekends = seen.learnt()
    for known, other in (([weekdays, [None] * 96], saturday), ([[None] * 96, weekends], friday)):
        demand = Demand()
        demand.restore(known)
        assert demand.usual(other + 7.9 * 3600, 360.0) == 0.0
        assert demand.growth(other + 7.9 * 3600, 3600.0, 360.0) == 1.0
    assert seen.usual(friday + 7.9 * 3600, 360.0) > 0.5


@pytest.mark.parametrize("damaged", [[], [[None]], [["x"] * 96, [None] * 96], None])
def test_a_damaged_day_is_refused(damaged: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        Demand().restore(damaged)  # type: ignore[arg-type]


def test_in_the_hours_that_the_spec_names_so_many_run_though_nobody_asks() -> None:
    world = World(
        {
            "scale": {
                "min": 0, "max": 4, "hold": "60s", "idle": "5m",
                "prewarm": {"hours": "07:30-18:00 UTC on weekdays", "least": 2},
            },
            "sites": {"aws": {"cloud": "aws", "region": "us-east-1"}},
        },
        clock=ManualClock(MONDAY.replace(hour=7)),
    )  # fmt: skip
    world.gateway.clouds = [world.aws]
    world.controller.fleets = {"aws": world.aws}
    world.rounds(int(25 * 60 / LOOK_SECONDS))
    assert world.aws.running == []
    world.rounds(int(10 * 60 / LOOK_SECONDS))
    assert len(world.aws.running) == 2
    world.clock.sleep(10.5 * 3600)
    world.rounds(int(20 * 60 / LOOK_SECONDS))
    assert world.aws.running == []
