"""What may be tried again, and how often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arriero.gateway.routing.retry import (
    FLOOR,
    FLOOR_SECONDS,
    OPEN_SECONDS_LIMIT,
    PROBE_SECONDS,
    SAVED_LIMIT,
    SHARE,
    WINDOW_SECONDS,
    Breaker,
    Budget,
)  # fmt: skip


def spent(budget: Budget, now: float) -> int:
    count = 0
    while budget.spend(now):
        count += 1
    return count


def test_a_tenth_of_the_traffic_may_be_tried_again() -> None:
    budget = Budget()
    assert spent(budget, 0.0) == FLOOR
    for _ in range(505):
        budget.save()
    assert spent(budget, 0.0) == 50
    assert spent(budget, FLOOR_SECONDS / 2) == FLOOR / 2
    assert spent(budget, 10 * FLOOR_SECONDS) == FLOOR


def test_a_long_quiet_time_saves_no_storm() -> None:
    budget = Budget()
    for _ in range(1_000_000):
        budget.save()
    assert spent(budget, 0.0) == SAVED_LIMIT + FLOOR


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=400))
def test_retries_never_exceed_the_share_and_the_floor(steps: list[tuple[bool, float]]) -> None:
    budget, now, requests, retries = Budget(), 0.0, 0, 0
    for is_request, seconds in steps:
        now += seconds
        if is_request:
            requests += 1
            budget.save()
        else:
            retries += budget.spend(now)
    assert retries <= SHARE * requests + FLOOR + now * FLOOR / FLOOR_SECONDS + 1e-6


def test_a_breaker_opens_longer_with_each_failure_in_the_window() -> None:
    breaker = Breaker()
    assert breaker.is_closed
    assert not breaker.is_open(0.0)
    breaker.failed(10.0)
    assert breaker.is_open(10.9)
    assert not breaker.is_open(11.0)
    breaker.failed(12.0)
    assert breaker.is_open(13.9)
    assert not breaker.is_open(14.0)
    for _ in range(20):
        breaker.failed(14.0)
    assert breaker.is_open(14.0 + OPEN_SECONDS_LIMIT - 0.1)
    assert not breaker.is_open(14.0 + OPEN_SECONDS_LIMIT)
    breaker.failed(100.0 + WINDOW_SECONDS)
    assert not breaker.is_open(101.0 + WINDOW_SECONDS)


def test_one_request_sees_whether_it_is_well_again() -> None:
    breaker = Breaker()
    breaker.failed(0.0)
    breaker.asked(1.5)
    assert breaker.is_open(1.5)
    assert breaker.until == 1.5 + PROBE_SECONDS
    breaker.answered(sent_at=-0.1)
    assert breaker.is_open(1.5)
    breaker.answered(sent_at=1.5)
    assert breaker.is_closed
    assert breaker.until == 0.0
    assert not breaker.is_open(1.5)


def test_a_failed_probe_opens_it_again_and_a_lost_one_does_not_keep_it_open() -> None:
    breaker = Breaker()
    breaker.failed(0.0)
    breaker.asked(1.5)
    breaker.failed(1.6)
    assert breaker.is_open(3.5)
    assert not breaker.is_open(3.6)
    breaker.asked(4.0)
    assert breaker.is_open(4.0 + PROBE_SECONDS - 0.1)
    assert not breaker.is_open(4.0 + PROBE_SECONDS)


def test_asking_while_it_is_open_is_no_probe() -> None:
    breaker = Breaker()
    breaker.failed(0.0)
    breaker.asked(0.5)
    assert not breaker.is_open(1.0)
