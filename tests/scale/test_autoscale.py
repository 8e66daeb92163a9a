"""How many should run: what the load asks for, steps, stabilisation, bursts, warm ones, sleep."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.scale.autoscale import Decision, Load, Past, Policy, decide

CALM = Load(
    count=4, ready=4, asked=2.0, asked_now=2.0, swing=1.0, growth=1.0, waiting=0.0, idle_for=0.0, start_seconds=70.0
)
POLICY = Policy(min=2, max=20, utilisation=0.5)


def test_as_many_run_as_the_asked_work_needs_at_the_utilisation() -> None:
    decision = decide(0.0, CALM, POLICY)
    assert (decision.count, decision.need, decision.is_panic) == (4, 4, False)
    assert decision.reason.startswith("as many as run: 2.00 targets' work is asked")


@pytest.mark.parametrize(
    ("change", "need"),
    [
        ({"asked": 3.0}, 6),
        ({"swing": 1.5}, 6),
        ({"growth": 2.0}, 8),
        ({"waiting": 140.0}, 6),
        ({"lately": 4.0}, 8),
        ({"swing": 3.0, "highest": 4.0}, 8),
        ({"swing": 3.0, "highest": 4.0, "lately": 5.0}, 10),
        ({"asked": 0.1}, 2),
        ({"asked": 50.0}, 20),
    ],
)
def test_work_swing_growth_and_lines_add_up_between_min_and_max(change: dict[str, float], need: int) -> None:
    assert decide(0.0, replace(CALM, **change), POLICY).need == need  # type: ignore[arg-type]


def test_a_step_out_at_most_doubles_what_runs_within_a_minute() -> None:
    load = replace(CALM, asked=9.0)
    first = decide(0.0, load, POLICY)
    again = decide(10.0, replace(load, count=first.count, before=first.past), POLICY)
    later = decide(70.0, replace(load, count=again.count, before=again.past), POLICY)
    assert (first.count, again.count, later.count) == (8, 8, 16)
    assert first.reason.startswith("18 are needed, in steps: ")


def test_a_burst_lifts_the_limit_and_holds_what_came() -> None:
    load = replace(CALM, asked=9.0, asked_now=9.0)
    burst = decide(0.0, load, POLICY)
    calm = decide(290.0, replace(CALM, count=burst.count, before=burst.past), replace(POLICY, hold_seconds=300.0))
    assert (burst.count, burst.is_panic) == (18, True)
    assert burst.reason.startswith("burst: 9.0 targets' work comes at 4 ready; ")
    assert calm.count == 18


def test_fewer_run_only_when_fewer_would_have_done_for_long_and_in_small_steps() -> None:
    load, counts, now = replace(CALM, count=10, ready=10), [], 0.0
    while now < 900.0:
        decision = decide(now, load, replace(POLICY, hold_seconds=300.0))
        load = replace(load, count=decision.count, before=decision.past)
        counts.append((now, decision.count))
        now += 10.0
    changes = [(now, count) for (now, count), (_, before) in zip(counts[1:], counts, strict=False) if count != before]
    assert changes == [(300.0, 9), (360.0, 8), (420.0, 7), (480.0, 6), (540.0, 5), (600.0, 4)]


def played(loads: list[Load], policy: Policy, seconds: float = 10.0) -> list[Decision]:
    found: list[Decision] = []
    count, past = loads[0].count, Past()
    for step, load in enumerate(loads):
        decision = decide(step * seconds, replace(load, count=count, ready=count, before=past), policy)
        count, past = decision.count, decision.past
        found.append(decision)
    return found


def test_warm_ones_stay_whatever_is_asked() -> None:
    quiet = replace(CALM, asked=0.0, asked_now=0.0, idle_for=9999.0)
    assert decide(0.0, replace(quiet, count=1), Policy(min=0, max=4, warm=1)).count == 1


def test_a_site_without_a_least_sleeps_and_wakes() -> None:
    policy = Policy(min=0, max=4, idle_seconds=600.0, hold_seconds=60.0)
    quiet = replace(CALM, count=1, asked=0.0, asked_now=0.0)
    asleep = played([replace(quiet, idle_for=10.0 * step) for step in range(100)], policy)
    assert [decision.count for decision in asleep][60] == 1
    assert asleep[-1].count == 0
    assert asleep[-1].reason == "as many as run: nothing was asked for 990 s"
    woken = decide(2000.0, replace(quiet, count=0, ready=0, idle_for=1.0, waiting=5.0, before=asleep[-1].past), policy)
    assert woken.count == 1


@given(
    st.lists(st.tuples(st.floats(0, 40), st.floats(0, 500), st.floats(1, 4)), min_size=1, max_size=60),
    st.integers(0, 3),
    st.integers(3, 30),
)
def test_it_stays_between_min_and_max_and_never_falls_by_more_than_a_step(
    asked: list[tuple[float, float, float]], least: int, most: int
) -> None:
    policy = Policy(min=least, max=most)
    loads = [
        replace(CALM, count=max(least, 1), asked=work, asked_now=work, waiting=wait, swing=swing)
        for work, wait, swing in asked
    ]
    decisions = played(loads, policy)
    assert all(least <= decision.count <= most for decision in decisions)
    for before, after in pairwise(decisions):
        assert after.count >= before.count - max(1, int(before.count * policy.step_in))
