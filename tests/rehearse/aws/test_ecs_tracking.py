"""Target tracking of the emulated AWS, minute by minute: when more start, when fewer run, and what holds it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from arriero.rehearse.aws import cron
from arriero.rehearse.aws.tracking import Goal, Standing, Tracker

CPU = {"cpu": Goal(50.0, 1.0, 5.0)}
TWO = Standing(count=2, running=2, least=1, most=8)


def played(
    values: Iterable[float | None], standing: Standing = TWO, goals: dict[str, Goal] | None = None
) -> list[tuple[int, int]]:
    """The minutes in which the count changed, and to what. All policies see the same value."""
    tracker, found, goals = Tracker(), [], goals or CPU
    for minute, value in enumerate(values):
        step = tracker.minute(minute, goals, dict.fromkeys(goals, value), standing)
        if step.count != standing.count:
            assert step.why
            found.append((minute, step.count))
            standing = replace(standing, count=step.count, running=step.count)
    return found


def test_three_minutes_above_the_goal_start_as_many_as_bring_it_back() -> None:
    assert played([60, 60, 80]) == [(2, 4)]
    assert played([60, 40, 80]) == []
    assert played([50, 50, 50]) == []
    assert played([51, 51, 51]) == [(2, 3)]


def test_never_more_than_the_most_and_never_fewer_than_the_least() -> None:
    assert played([100] * 3, replace(TWO, count=6, running=6)) == [(2, 8)]
    assert played([100] * 9, replace(TWO, count=8, running=8)) == []
    assert played([0] * 15) == [(14, 1)]
    assert played([0] * 40, replace(TWO, count=1, running=1)) == []


def test_while_what_was_started_is_on_its_way_only_a_greater_step_is_made() -> None:
    cooling = {"cpu": Goal(50.0, 3.0, 5.0)}
    tracker = Tracker()
    before = Standing(count=2, running=2, least=1, most=20)
    for minute in range(3):
        step = tracker.minute(minute, cooling, {"cpu": 80.0}, before)
    assert step.count == 4
    on_its_way = replace(before, count=4)  # two of them still run
    assert tracker.minute(3, cooling, {"cpu": 80.0}, on_its_way).count == 4
    assert tracker.minute(4, cooling, {"cpu": 200.0}, on_its_way).count == 8


def test_fewer_run_after_fifteen_minutes_below_nine_tenths_and_then_every_cooldown() -> None:
    assert played([46] * 30) == []
    assert played([44] * 15, replace(TWO, count=8, running=8)) == []  # rounded up it is as many
    assert played([20] * 15, replace(TWO, count=5, running=5)) == [(14, 2)]
    # A figure that does not rise: one step every five minutes, down to the least.
    assert played([20] * 30, replace(TWO, count=8, running=8)) == [(14, 4), (19, 2), (24, 1)]


def test_fewer_run_only_where_every_policy_wants_fewer_and_more_where_any_does() -> None:
    both = {"cpu": Goal(50.0, 1.0, 5.0), "memory": Goal(80.0, 1.0, 5.0)}
    tracker, standing = Tracker(), replace(TWO, count=4, running=4)
    for minute in range(20):
        assert tracker.minute(minute, both, {"cpu": 10.0, "memory": 78.0}, standing).count == 4
    for minute in range(20, 23):
        step = tracker.minute(minute, both, {"cpu": 10.0, "memory": 100.0}, standing)
    assert step.count == 5
    assert step.why == "memory at 100 is over 80"


def test_one_that_may_not_scale_in_has_no_say_in_it() -> None:
    both = {"cpu": Goal(50.0, 1.0, 5.0), "memory": Goal(80.0, 1.0, 5.0, scales_in=False)}
    tracker = Tracker()
    for minute in range(15):
        step = tracker.minute(minute, both, {"cpu": 10.0, "memory": 79.0}, TWO)
    assert step.count == 1


@pytest.mark.parametrize("hidden", [0, 7, 14])
def test_what_is_not_known_is_no_low_load(hidden: int) -> None:
    values: list[float | None] = [5.0] * 15
    values[hidden] = None
    assert played(values) == []
    assert played([None] * 40) == []


def test_no_fewer_run_while_a_deployment_goes_on_but_more_do() -> None:
    deploying = replace(TWO, count=4, running=4, is_deploying=True)
    assert played([5] * 40, deploying) == []
    assert played([100] * 3, deploying) == [(2, 8)]


def test_what_is_suspended_does_nothing() -> None:
    assert played([100] * 9, replace(TWO, may_go_out=False)) == []
    assert played([0] * 40, replace(TWO, may_go_in=False)) == []


def test_alarms_tell_what_the_figures_say() -> None:
    tracker = Tracker()
    tracker.minute(0, CPU, {"cpu": None}, TWO)
    assert tracker.states(CPU) == {"cpu": ("INSUFFICIENT_DATA", "INSUFFICIENT_DATA")}
    for minute in range(1, 4):
        tracker.minute(minute, CPU, {"cpu": 90.0}, replace(TWO, most=2))
    assert tracker.states(CPU) == {"cpu": ("ALARM", "OK")}
    for minute in range(4, 20):
        tracker.minute(minute, CPU, {"cpu": 1.0}, replace(TWO, least=2))
    assert tracker.states(CPU) == {"cpu": ("OK", "ALARM")}


BERLIN = "Europe/Berlin"
NIGHTLY = "cron(0 22 ? * MON,TUE,WED,THU,FRI *)"


def berlin(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZoneInfo(BERLIN)).astimezone(UTC)


@pytest.mark.parametrize(
    ("since", "until", "is_due"),
    [
        (berlin(30, 21, 59), berlin(30, 22), True),  # a Monday
        (berlin(30, 22), berlin(30, 22, 1), False),
        (berlin(30, 20), berlin(30, 23), True),
        (berlin(29, 21, 59), berlin(29, 22, 1), False),  # a Sunday
    ],
)
def test_a_scheduled_action_is_due_once_by_the_clock_of_its_zone(
    since: datetime, until: datetime, is_due: bool
) -> None:
    assert (cron.last_due(NIGHTLY, BERLIN, since, until) is not None) is is_due


def test_what_cron_has_besides_is_not_understood() -> None:
    assert cron.understands(NIGHTLY)
    assert not cron.understands("cron(0/15 22 ? * MON *)")
    assert not cron.understands("rate(5 minutes)")
