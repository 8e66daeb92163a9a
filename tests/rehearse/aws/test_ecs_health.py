from __future__ import annotations

from arriero.rehearse.aws.health import Health


def health(**check: int) -> Health:
    return Health.of({"interval": 10, "retries": 3, "startPeriod": 60, **check}, now=100.0, pace=10.0)


def test_what_fails_while_it_starts_is_forgiven() -> None:
    one = health()
    for now in (101, 102, 103, 104, 105):
        one.count(answered=False, now=now)
    assert one.status == "UNKNOWN"


def test_after_the_start_period_the_retries_decide() -> None:
    one = health()
    for now in (106, 107):
        one.count(answered=False, now=now)
    assert one.status == "UNKNOWN"
    one.count(answered=False, now=108)
    assert one.status == "UNHEALTHY"


def test_failures_in_the_start_period_count_once_it_has_answered() -> None:
    one = health()
    one.count(answered=True, now=101)
    assert one.status == "HEALTHY"
    for now in (102, 103, 104):
        one.count(answered=False, now=now)
    assert one.status == "UNHEALTHY"


def test_an_answer_wipes_the_failures_out() -> None:
    one = health(startPeriod=0)
    for answered in (False, False, True, False, False):
        one.count(answered=answered, now=110)
    assert one.status == "HEALTHY"


def test_it_is_asked_often_until_it_answers_and_at_its_interval_then() -> None:
    one = health()
    assert one.is_due(100)
    one.postpone(100)
    assert (one.is_due(100.2), one.is_due(100.25)) == (False, True)
    one.count(answered=True, now=100.3)
    one.postpone(100.3)
    assert (one.is_due(101.2), one.is_due(101.3)) == (False, True)
