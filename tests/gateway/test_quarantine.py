"""What is held back because targets ended under it, for how long, and what clears it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.gateway.routing.quarantine import (
    CROWD,
    CROWD_HOLD_SECONDS,
    HOLD_SECONDS,
    HOLD_SECONDS_LIMIT,
    LIMIT,
    MEMORY_SECONDS,
    PROBE_SECONDS,
    Hold,
    Quarantine,
)

CHAT, POISON = "/api/chat", b"poison"


def killed(quarantine: Quarantine, now: float, body: bytes = POISON, times: int = 2) -> Quarantine:
    """One target after the other ends under it."""
    for _ in range(times):
        quarantine.died(CHAT, body, now, now)
    return quarantine


def test_two_ends_hold_it_back_and_nothing_else() -> None:
    quarantine = Quarantine()
    assert quarantine.hold(CHAT, POISON, 0.0) is None
    killed(quarantine, 10.0, times=1)
    assert quarantine.hold(CHAT, POISON, 10.0) is None
    killed(quarantine, 11.0, times=1)
    assert quarantine.hold(CHAT, POISON, 12.0) == Hold(HOLD_SECONDS - 1, True)
    assert quarantine.hold("/api/generate", POISON, 12.0) is None
    assert quarantine.hold(CHAT, POISON + b"!", 12.0) is None


def test_each_further_end_doubles_the_time_up_to_a_limit() -> None:
    quarantine, now, held = killed(Quarantine(), 0.0), 0.0, []
    for _ in range(8):
        hold = quarantine.hold(CHAT, POISON, now)
        assert hold is not None
        held.append(hold.seconds)
        now += hold.seconds
        assert quarantine.hold(CHAT, POISON, now) is None
        assert quarantine.is_last_try(CHAT, POISON)
        quarantine.died(CHAT, POISON, now, now)
    assert held == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, HOLD_SECONDS_LIMIT, HOLD_SECONDS_LIMIT]


def test_after_a_hold_one_goes_to_see_and_the_others_wait_for_it() -> None:
    quarantine = killed(Quarantine(), 0.0)
    assert quarantine.hold(CHAT, POISON, HOLD_SECONDS) is None
    assert quarantine.hold(CHAT, POISON, HOLD_SECONDS) == Hold(PROBE_SECONDS, True)
    quarantine.answered(CHAT, POISON, HOLD_SECONDS + 1)
    assert quarantine.hold(CHAT, POISON, HOLD_SECONDS + 1) is None
    assert not quarantine.is_last_try(CHAT, POISON)


def test_one_that_never_comes_back_holds_up_the_next_for_a_while_only() -> None:
    quarantine = killed(Quarantine(), 0.0)
    assert quarantine.hold(CHAT, POISON, HOLD_SECONDS) is None
    assert quarantine.hold(CHAT, POISON, HOLD_SECONDS + PROBE_SECONDS) is None


@pytest.mark.parametrize("times", [1, 2])
def test_an_answer_clears_it(times: int) -> None:
    quarantine = killed(Quarantine(), 0.0, times=times)
    quarantine.answered(CHAT, POISON, 1.0)
    quarantine.died(CHAT, POISON, 2.0, 2.0)
    assert quarantine.hold(CHAT, POISON, 2.0) is None


def test_the_same_body_at_many_targets_that_end_at_once_is_one_piece_of_evidence() -> None:
    quarantine = Quarantine()
    for number in range(20):
        quarantine.died(CHAT, POISON, 1.0, 5.0 + number / 100)
    assert quarantine.hold(CHAT, POISON, 6.0) is None


def test_a_crowd_is_not_blamed_but_waits_a_moment() -> None:
    quarantine = Quarantine()
    for number in range(CROWD):
        killed(quarantine, number / 10, b"%d" % number)
    assert quarantine.hold(CHAT, b"0", 0.5) == Hold(CROWD_HOLD_SECONDS - 0.5, False)
    assert [quarantine.hold(CHAT, b"%d" % number, 2.0) for number in range(CROWD)] == [None] * CROWD
    # One of them does it again: now it is alone with it.
    quarantine.died(CHAT, b"1", 2.0, 2.1)
    assert quarantine.hold(CHAT, b"1", 2.1) == Hold(2 * HOLD_SECONDS, True)
    assert quarantine.hold(CHAT, b"2", 2.1) is None


def test_what_came_of_others_long_ago_is_no_crowd() -> None:
    quarantine = Quarantine()
    for number in range(CROWD):
        killed(quarantine, number * 10.0, b"%d" % number)
    assert quarantine.hold(CHAT, b"2", 20.0) == Hold(HOLD_SECONDS, True)


def test_it_is_bounded_forgets_and_outlives_the_process() -> None:
    quarantine = Quarantine()
    for number in range(LIMIT + 10):
        killed(quarantine, number * 10.0, b"%d" % number)
    assert len(quarantine) <= LIMIT
    last = (LIMIT + 9) * 10.0
    other = Quarantine()
    other.restore(quarantine.as_json(last + 1), 1000.0)
    assert other.hold(CHAT, b"%d" % (LIMIT + 9), 1000.0) == Hold(HOLD_SECONDS - 1, True)
    killed(other, 1000.0 + 2 * MEMORY_SECONDS, b"late", times=1)
    assert len(other) == 1


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.booleans(), st.floats(0, 50)), max_size=60))
def test_whatever_happens_a_body_reaches_no_more_than_two_targets_without_a_hold(
    steps: list[tuple[bytes, bool, float]],
) -> None:
    quarantine, now, ends = Quarantine(), 0.0, dict.fromkeys((b"a", b"b", b"c", b"d"), 0)
    for body, kills, later in steps:
        now += later
        if quarantine.hold(CHAT, body, now) is not None:
            ends[body] = 0
        elif kills:
            quarantine.died(CHAT, body, now, now)
            ends[body] += 1
        else:
            quarantine.answered(CHAT, body, now)
            ends[body] = 0
        # A hold that nobody ran into passed unseen: one more may have gone to see since.
        assert ends[body] <= 2 or quarantine.is_last_try(CHAT, body)
