"""The judge and the course: figures by hand, and a sample of what `simulated_trials.py` proves by the thousand."""

from __future__ import annotations

import math

import pytest
from simulated_trials import CASES, Case, wrong_of

from arriero.control.trials import STRATA, Moments, Tally
from arriero.deploy.trial.course import Course
from arriero.deploy.trial.judge import judge, wilson

SAMPLE = 10


def times(count: int, typical: float, spread: float = 0.5) -> Moments:
    """Half of them a spread above the typical one, half below."""
    above, below = typical * math.exp(spread), typical * math.exp(-spread)
    return Moments.of([above] * (count // 2) + [below] * (count // 2))


def tally(count: int, errors: int = 0, empty: int = 0, first: float = 0.4, cold: int = 0, token: float = 0.02) -> Tally:
    """`cold` of the requests wait four times as long for the first token."""
    warm, cold_times = times(count - cold, first), times(cold, 4 * first)
    strata = [Moments()] * STRATA
    strata[0], strata[STRATA // 2] = cold_times, warm
    return Tally(count, errors, count - errors, empty, tuple(strata), (times(count, token, 0.1), Moments()))


OLD = tally(4000, errors=20, empty=8, cold=400)


@pytest.mark.parametrize(
    ("new", "judgement"),
    [
        (tally(400, errors=3, cold=200), "good"),
        (tally(400, errors=120), "bad"),
        (tally(24, errors=8), "bad"),
        (tally(12, errors=6), "open"),
        (tally(400, empty=200), "bad"),
        (tally(400, first=0.8), "bad"),
        (tally(400, first=0.44, cold=360), "good"),
        (tally(400, token=0.04), "bad"),
        (tally(30), "open"),
        (tally(0), "open"),
        (tally(400, first=0.2, token=0.01), "good"),
    ],
)
def test_a_release_is_held_against_the_running_one(new: Tally, judgement: str) -> None:
    verdict = judge(new, OLD)
    assert ("bad" if verdict.is_bad else "good" if verdict.is_good else "open") == judgement, verdict.reason


def test_a_reason_has_the_figures_of_both() -> None:
    reason = judge(tally(400, errors=120), OLD).reason
    assert reason == "failed requests 0.3 (running release: 0.005; 400 requests)"


def test_without_a_running_release_to_compare_with_gross_faults_are_still_seen() -> None:
    assert judge(tally(100, errors=30), Tally()).is_bad
    assert judge(tally(400), Tally()).is_good


def test_what_did_not_serve_at_once_may_differ_by_the_hour() -> None:
    slower = tally(400, first=0.6)
    assert judge(slower, OLD).is_bad
    assert judge(slower, OLD, is_at_once=False).is_good
    assert judge(tally(400, first=1.2), OLD, is_at_once=False).is_bad


def test_wilsons_interval_is_the_one_in_the_books() -> None:
    # 1 of 29 at 95 %: Newcombe, Statistics in Medicine 17 (1998), table I gives 0.0061 to 0.1718.
    assert wilson(1, 29, 1.959964) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_a_course_takes_its_steps_when_the_hold_is_over_and_enough_is_known() -> None:
    course = Course((5, 100), 60)
    assert course.begin(0.0).percent == 5
    new, old = tally(400), tally(400)
    assert [course.look(now, new, old).act for now in (1.0, 59.0)] == ["hold", "hold"]
    assert course.look(60.0, new, old).percent == 100
    assert course.look(119.0, new + new, old).act == "hold"
    assert course.look(120.0, new + new, old).act == "done"


def test_a_bad_release_goes_back_at_once_and_says_why() -> None:
    course = Course((5, 100), 60)
    course.begin(0.0)
    step = course.look(2.0, tally(40, errors=20), tally(400))
    assert (step.act, step.reason) == ("back", "failed requests 0.5 (running release: 0; 40 requests)")


def test_a_fault_that_shows_under_load_only_is_not_hidden_by_the_quiet_steps_before() -> None:
    course = Course((5, 25, 50), 60)
    course.begin(0.0)
    first, second = tally(3000), tally(100, errors=30)
    course.look(60.0, first, OLD)
    assert course.look(62.0, first + second, OLD + OLD).act == "back"


def test_without_traffic_the_hold_is_three_times_as_long_and_the_golden_prompts_decide() -> None:
    course = Course((5, 100), 60)
    course.begin(0.0)
    acts = [course.look(now, Tally(), Tally()).act for now in (60.0, 179.0, 180.0)]
    assert acts == ["hold", "hold", "ask"]
    assert course.answered(181.0, Tally(), Tally()).percent == 100


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_simulated_runs_end_as_they_should(case: Case) -> None:
    assert wrong_of(case, SAMPLE)[0] == 0
