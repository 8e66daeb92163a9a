"""Traffic made of traces: the asked rate by the hour, the trace's own bursts and lengths, the same for a seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from arriero.errors import ArrieroError
from arriero.simulate.demand import DAY, FLAT, Curve, arrivals
from arriero.simulate.trace import SHIPPED, parse, read

HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
TRACE = read("azure-2023-code", Path())


def test_the_shipped_traces_are_the_recorded_ones() -> None:
    shared = Path(__file__).parents[3] / "shared" / "data" / "traces"
    if not shared.exists():
        pytest.skip("the recorded traces are not on this machine")
    for name, file in zip(SHIPPED, ("code", "conv"), strict=True):
        recorded = parse((shared / f"AzureLLMInferenceTrace_{file}.csv").read_text(), name)
        assert read(name, Path()) == recorded
    assert len(TRACE.at) == 8819


def test_the_same_seed_gives_the_same_requests_and_another_one_others() -> None:
    first, again, other = (list(arrivals(TRACE, FLAT, 1.0, DAY / 8, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_requests_come_in_order_at_the_asked_rate_with_the_traces_lengths() -> None:
    found = list(arrivals(TRACE, FLAT, 1.0, 2 * DAY, 3))
    assert [each.at for each in found] == sorted(each.at for each in found)
    assert len(found) / (2 * DAY) == pytest.approx(1.0, rel=0.1)
    assert sum(each.prompt for each in found) / len(found) == pytest.approx(2048, rel=0.05)


def test_the_day_has_its_curve_and_bursts_keep_their_length() -> None:
    curve = Curve((0.2,) * 8 + (1.0,) * 8 + (0.2,) * 8, (0.2,) * 24)
    found = list(arrivals(TRACE, curve, 0.4, DAY, 4))
    hours = Counter(int(each.at // 3600) for each in found)
    # Between the hours the curve is a line, so the hours next to a step are left out.
    night, day = sum(hours[hour] for hour in range(1, 7)) / 6, sum(hours[hour] for hour in range(9, 15)) / 6
    assert night / day == pytest.approx(0.2, rel=0.35)
    seconds = Counter(int(each.at // 10) for each in found if 9 <= each.at // 3600 < 15)
    assert max(seconds.values()) / (day / 360) > 6


def test_more_than_the_trace_has_is_several_of_it() -> None:
    found = sum(1 for _ in arrivals(TRACE, FLAT, 10.0, 7200.0, 5))
    assert found / 7200.0 == pytest.approx(10.0, rel=0.25)


def test_models_are_asked_for_by_zipf() -> None:
    counts = Counter(each.model for each in arrivals(TRACE, FLAT, 2.0, DAY / 4, 6, models=4))
    assert counts[0] / counts[3] == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "t.csv:1: the trace has no column TIMESTAMP, ContextTokens, GeneratedTokens; its first line"),
        (HEAD + "x,1,2\n2023-11-16 18:17:03.1,y,2\n", "t.csv:2: is not a request of a trace: "),
        (HEAD + "2023-11-16 18:17:03.1,1,-2\n", "t.csv:2: is not a request of a trace: tokens below zero"),
        (HEAD + "2023-11-16 18:17:03.1,1\n", "t.csv:2: is not a request of a trace: "),
        (HEAD, "t.csv: the trace has fewer than two requests; name a longer one"),
        (HEAD + "2023-11-16 18:17:03.1,1,2\n" * 2, "t.csv: all requests of the trace came at once"),
    ],
)
def test_a_wrong_trace_is_told_by_its_lines(text: str, message: str) -> None:
    with pytest.raises(ArrieroError) as caught:
        parse(text, "t.csv")
    assert str(caught.value.problems[0]).startswith(message)
