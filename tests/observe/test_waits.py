"""How long requests wait, out of a gateway's histogram."""

from __future__ import annotations

import pytest

from arriero.observe.waits import longest_wait, wait_in


def told(model: str, *counts: int) -> str:
    bounds = ("0.005", "1.0", "5.0", "+Inf")
    return "".join(
        f'arriero_queue_seconds_bucket{{model="{model}",le="{bound}"}} {count}\n'
        for bound, count in zip(bounds, counts, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("arriero_requests_total 5\n", None),
        (told("a", 5, 5, 5, 5), None),
        (told("a", 2000, 2000, 2000, 2000), 0.0),
        (told("a", 1980, 1990, 2000, 2000), 0.0),
        (told("a", 1000, 1980, 2000, 2000), 0.005),
        (told("a", 1000, 1500, 2000, 2000), 1.0),
        (told("a", 1000, 1500, 1600, 2000), 5.0),
        (told("a", 2000, 2000, 2000, 2000) + told("b", 0, 0, 3000, 3000), 1.0),
    ],
)
def test_the_wait_of_one_in_a_hundred(text: str, seconds: float | None) -> None:
    assert wait_in(text) == seconds


def test_a_gateway_that_is_not_there_says_nothing() -> None:
    assert longest_wait("http://127.0.0.1:1", "") is None
