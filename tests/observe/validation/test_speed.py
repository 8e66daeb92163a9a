"""Slower than the last stable release is judged with a tolerance, and noise is not judged."""

from __future__ import annotations

import pytest

from arriero.observe.validation.findings import Speed
from arriero.observe.validation.speed import compare, typical
from arriero.spec.validation import Tolerance

TOLERANCE = Tolerance.model_validate({"first_token": "50%", "tokens_per_second": "30%"})


@pytest.mark.parametrize(
    ("now", "then", "is_right"),
    [
        (Speed(1.49, 50), Speed(1.0, 50), True),
        (Speed(1.51, 50), Speed(1.0, 50), False),
        (Speed(0.18, 50), Speed(0.01, 50), True),  # eighteen times as late, and nobody notices it
        (Speed(0.22, 50), Speed(0.01, 50), False),
        (Speed(1.0, 35.1), Speed(1.0, 50), True),
        (Speed(1.0, 34.9), Speed(1.0, 50), False),
        (Speed(0.5, 90), Speed(1.0, 50), True),
        (Speed(1.0, 0), Speed(1.0, 50), True),  # too few tokens to tell
    ],
)
def test_a_release_is_fast_enough_or_not(now: Speed, then: Speed, is_right: bool) -> None:
    assert compare(now, then, TOLERANCE)[0] == is_right


def test_what_is_too_slow_is_said_with_its_limit() -> None:
    said = compare(Speed(1.6, 20), Speed(1.0, 50), TOLERANCE)[1]
    assert said == "first token 1600 ms, was 1000 ms (at most 50% later); 20.0 tokens/s, was 50.0 (at most 30% fewer)"


def test_the_typical_speed_is_the_median_of_those_that_tell() -> None:
    assert typical([Speed(1, 10), Speed(9, 0), Speed(2, 30)]) == Speed(2, 20)
    assert typical([]) is None
