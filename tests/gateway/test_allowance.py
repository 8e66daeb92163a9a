"""What a key has used, in numbers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.control.keys import Key, Lock
from arriero.gateway.access.allowance import DAY, Minute, Shortage, Usage, shortage, used

LOCK = Lock("0" * 12, bytes(16), bytes(32))


def key(**limits: object) -> Key:
    return Key("app", (LOCK,), datetime(2026, 1, 1, tzinfo=UTC), **limits)  # type: ignore[arg-type]


def test_the_former_minute_counts_for_what_is_left_of_it() -> None:
    minute = Minute()
    minute.add(60, 30.0)
    assert minute.level(59.0) == 60
    assert minute.level(75.0) == pytest.approx(45)
    minute.add(10, 90.0)
    assert minute.level(90.0) == pytest.approx(40)
    assert minute.level(120.0) == pytest.approx(10)
    assert minute.level(240.0) == 0


@given(
    adds=st.lists(st.tuples(st.floats(0, 200), st.integers(1, 500)), max_size=8),
    limit=st.integers(1, 600),
    later=st.floats(0, 100),
)
def test_the_wait_told_is_the_wait_needed(adds: list[tuple[float, int]], limit: int, later: float) -> None:
    minute = Minute()
    for at, amount in sorted(adds):
        minute.add(amount, at)
    now = max((at for at, _ in adds), default=0.0) + later
    wait = minute.seconds_until_below(limit, now)
    assert (wait == 0) == (minute.level(now) < limit)
    if wait:
        just_before = Minute(minute._index, minute._count, minute._former)
        assert just_before.level(now + wait - 0.01) >= limit - 0.2
        assert minute.level(now + wait + 0.01) < limit


@given(times=st.lists(st.floats(0, 1000), max_size=200), limit=st.integers(1, 20))
def test_no_whole_minute_of_the_clock_sees_more_requests_than_allowed(times: list[float], limit: int) -> None:
    who, usage = key(requests_a_minute=limit), Usage()
    admitted: list[float] = []
    for now in sorted(times):
        if shortage(who, usage, now) is None:
            usage.requests.add(1, now)
            admitted.append(now)
    for index in range(17):
        assert sum(index * 60 <= at < (index + 1) * 60 for at in admitted) <= limit


def test_each_limit_is_told_with_its_wait() -> None:
    now = 10 * DAY + 3600
    usage = Usage(open=2)
    assert shortage(key(concurrency=2), usage, now) == Shortage("have 2 requests open at a time", 1)
    usage.requests.add(60, now)
    assert shortage(key(requests_a_minute=60), usage, now) == Shortage("ask 60 times a minute", 60)
    usage.tokens.add(1200, now)
    assert shortage(key(tokens_a_minute=1000), usage, now) == Shortage("use 1000 tokens a minute", 70)
    usage.spend(2.5, now)
    assert shortage(key(spend_a_day=2.5), usage, now) == Shortage("spend 2.5 a day", 82_800)
    assert shortage(key(spend_a_day=2.5), usage, now + DAY) is None
    assert shortage(key(), usage, now) is None


def test_each_limit_tells_which_part_of_it_is_used() -> None:
    usage = Usage(open=1, open_elsewhere=1, spent=3.0, day=0, spent_elsewhere=1.0)
    usage.requests.add(30, 10.0)
    usage.tokens.add(900, 10.0)
    whole = key(concurrency=4, requests_a_minute=60, tokens_a_minute=1000, spend_a_day=5.0)
    assert dict(used(whole, usage, 30.0)) == pytest.approx(
        {"concurrency": 0.5, "requests_a_minute": 0.5, "tokens_a_minute": 0.9, "spend_a_day": 0.8}
    )
    assert dict(used(key(tokens_a_minute=1000), usage, 90.0)) == pytest.approx({"tokens_a_minute": 0.45})
    assert dict(used(key(), usage, 30.0)) == {}


@given(tokens=st.lists(st.integers(1, 400), max_size=10), limit=st.integers(1, 1000))
def test_a_key_is_stopped_when_what_is_told_reaches_one(tokens: list[int], limit: int) -> None:
    who, usage = key(tokens_a_minute=limit), Usage()
    for amount in tokens:
        usage.tokens.add(amount, 100.0)
    assert (shortage(who, usage, 100.0) is None) == (dict(used(who, usage, 100.0))["tokens_a_minute"] < 1)
