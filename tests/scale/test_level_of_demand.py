"""The level, the swing, and the most that may be expected to come."""

from __future__ import annotations

import math

import pytest

from arriero.scale.demand import BUCKET_SECONDS, DAY, Demand

# A Monday, midnight.
START = 4 * DAY


def filled(demand: Demand, start: float, seconds: float, rate: float) -> float:
    at = start
    while at < start + seconds:
        demand.asked(at, rate * BUCKET_SECONDS)
        at += BUCKET_SECONDS
    return at


def test_nothing_bounds_what_may_come_until_half_an_hour_is_known() -> None:
    demand = Demand()
    at = filled(demand, START, 1200.0, 1.0)
    assert math.isinf(demand.ceiling(at, 30.0, 300.0))
    at = filled(demand, at, 900.0, 1.0)
    assert demand.ceiling(at, 30.0, 300.0) == pytest.approx(1.0)


def test_the_busiest_window_bounds_it_for_three_hours() -> None:
    demand = Demand()
    at = filled(demand, START, 3600.0, 1.0)
    at = filled(demand, at, 30.0, 5.0)
    at = filled(demand, at, 1800.0, 1.0)
    assert demand.ceiling(at, 30.0, 300.0) == pytest.approx(5.0)
    at = filled(demand, at, 3 * 3600.0, 1.0)
    assert demand.ceiling(at, 30.0, 300.0) == pytest.approx(1.0)


def test_the_bound_grows_as_the_usual_day_does() -> None:
    demand = Demand()
    at = START
    for _ in range(2):
        at = filled(demand, at, 8 * 3600.0, 1.0)
        at = filled(demand, at, 4 * 3600.0, 6.0)
        at = filled(demand, at, 12 * 3600.0, 1.0)
    morning = filled(demand, at, 8 * 3600.0 - 60.0, 1.0)
    assert demand.ceiling(morning, 30.0, 1200.0) == pytest.approx(6.0, rel=0.25)
    assert demand.level(morning, 3600.0) == pytest.approx(1.0)
