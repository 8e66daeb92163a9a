"""Where targets run, what a request is expected to take, quota and budget: decisions by data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.catalog.prices import BUILT_IN
from arriero.control.load import Ended, GatewayLoad, Pending
from arriero.cost.estimate import estimate
from arriero.scale.autoscale import Past, Policy, decide
from arriero.scale.limits import Creations, within_budget
from arriero.scale.sharing import Room, bounds, shares
from arriero.scale.work import Work, expected_seconds
from arriero.spec.model import Spec

CASES = Path(__file__).parents[1] / "cases" / "scale"


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in json.loads((CASES / name).read_text())]


def room(row: list[Any]) -> Room:
    site, count, least, most, cost, *more = row
    return Room(site, count, least, most, **{"most": most, "cost": cost, **(more[0] if more else {})})


@pytest.mark.parametrize("case", cases("sharing.json"))
def test_where_targets_run(case: dict[str, Any]) -> None:
    assert shares(case["wanted"], [room(row) for row in case["rooms"]]) == case["expect"]


@given(
    st.integers(0, 30),
    st.lists(
        st.builds(
            lambda count, least, more, most, standby, fixed: (count, least, least + more, most, standby, fixed),
            st.integers(0, 8), st.integers(0, 3), st.integers(0, 5), st.integers(0, 8), st.booleans(), st.booleans(),
        ),
        min_size=1,
        max_size=4,
    ),
)  # fmt: skip
def test_shares_keep_every_bound(wanted: int, rows: list[tuple[int, int, int, int, bool, bool]]) -> None:
    rooms = [
        Room(str(place), count, least, greatest, most, float(place % 2), standby, fixed)
        for place, (count, least, greatest, most, standby, fixed) in enumerate(rows)
    ]
    found = shares(wanted, rooms)
    for each in rooms:
        assert each.least <= found[each.site] <= max(each.greatest, each.least)
        assert not each.is_fixed or found[each.site] == each.count
    least, serving, greatest = bounds(rooms)
    if least <= wanted <= greatest and all(each.least <= each.count <= each.greatest for each in rooms):
        now = sum(max(0, found[r.site] - r.min) if r.is_standby else found[r.site] for r in rooms)
        assert now == wanted or (now == serving and wanted == serving)


@pytest.mark.parametrize("case", cases("work.json"))
def test_what_requests_are_expected_to_take(case: dict[str, Any]) -> None:
    found = expected_seconds(Ended(*case["ended"]), case["count"], case["bytes"])
    assert found == pytest.approx(case["expect"], abs=1e-3)


def load(ended: float, open_: int = 0, waiting: int = 0) -> GatewayLoad:
    """Requests of 2 seconds, 100 bytes and 40 tokens each."""
    over = Ended(ended, 0, 40 * ended, 2 * ended, 100 * ended)
    return GatewayLoad({"m": over}, {"m": Pending(open_, 100 * open_, waiting, 100 * waiting)})


def test_what_came_is_counted_whether_it_is_over_open_or_waits() -> None:
    work, policy = Work(), Policy()
    for place, told in enumerate((load(100), load(104, 4, 2), load(109, 4, 1), load(114, 4, 1))):
        work.look(1000.0 + 10 * place, told, 4.0)
    found = work.load(1040.0, 2, 2, 4.0, 60.0, policy)
    # 10, 4 and 5 requests of 2 slot-seconds in four steps of ten seconds, at four slots a target.
    assert found.asked == pytest.approx(19 * 2 / 4 / 40)
    assert found.waiting == pytest.approx(0.5)
    assert found.busy == pytest.approx(1.0)


def test_a_line_counts_only_when_it_stood_for_half_a_minute() -> None:
    work = Work()
    for second in (0, 10, 20):
        work.look(float(second), load(100, 4, 16), 4.0)
    assert work.load(25.0, 1, 1, 4.0, 60.0, Policy()).busy == pytest.approx(4 * 25 / 30 / 4)
    work.look(30.0, load(100, 4, 16), 4.0)
    found = work.load(30.0, 1, 1, 4.0, 60.0, Policy())
    assert found.busy == pytest.approx(5.0)
    decision = decide(30.0, found.after(Past()), Policy(min=1, max=20))
    assert (decision.need, decision.count) == (7, 3)
    assert "5.00 targets' slots are taken or waited for, at 75%" in decision.reason


def test_a_gateway_that_was_started_again_is_no_burst() -> None:
    work = Work()
    work.look(0.0, load(1000), 4.0)
    work.look(10.0, load(3), 4.0)
    work.look(20.0, load(4), 4.0)
    assert work.load(30.0, 1, 1, 4.0, 60.0, Policy()).asked == pytest.approx(1 * 2 / 4 / 30)


def test_what_ended_while_no_slot_was_free_tells_what_a_request_takes() -> None:
    """One target of four slots that bears two streams at full pace: alone a request holds a slot for two seconds, of
    four at once each does for four. So it takes a second of the whole target, which by its quiet hours would be half.
    """
    work, over = Work(), Ended(100, 0, 4000, 200, 10_000)
    work.look(0.0, GatewayLoad({"m": over}, {"m": Pending(1, 100)}), 4.0)
    work.load(0.0, 1, 1, 4.0, 60.0, Policy())
    for second in (10, 20, 30, 40):
        over = over + Ended(10, 0, 400, 40, 1000)
        work.look(float(second), GatewayLoad({"m": over}, {"m": Pending(4, 400)}), 4.0)
    for minute in range(1, 31):
        over = over + Ended(1, 0, 40, 2, 100)
        work.look(40.0 + 60 * minute, GatewayLoad({"m": over}, {"m": Pending(0, 0)}), 4.0)
    assert work.load(1840.0, 1, 1, 4.0, 60.0, Policy()).lately == pytest.approx(1.0 / 60)


def test_a_quota_is_counted_in_both_windows_and_a_refusal_closes_it() -> None:
    creations = Creations()
    assert creations.left(0.0) == 100
    creations.made(0.0, 60)
    creations.made(200.0, 40)
    assert [creations.left(at) for at in (200.0, 299.0, 300.0, 499.0, 500.0)] == [0, 0, 60, 60, 100]
    creations.made(600.0, 100)
    creations.made(1000.0, 90)
    assert [creations.left(at) for at in (1300.0, 3599.0, 3601.0)] == [10, 10, 70]
    creations.refused(4000.0, 30.0)
    assert [creations.left(at) for at in (4029.0, 4030.0)] == [0, 100]


def spec(monthly: str) -> Spec:
    return Spec.model_validate(
        {
            "name": "llm",
            "image": "acme/llm",
            "models": ["llama2"],
            "budget": {"monthly": monthly},
            "sites": {
                "aws": {"cloud": "aws", "region": "us-east-1"},
                "west": {"cloud": "aws", "region": "us-west-2"},
            },
        }
    )


def test_the_budget_stops_what_is_more_and_takes_nothing_away() -> None:
    one = estimate(spec("1 USD").site("aws"), 1, BUILT_IN).monthly.amount
    tight = spec(f"{int(one * 3) + 20} USD")
    assert within_budget(tight, BUILT_IN, {"aws": 1, "west": 1}, {"aws": 2, "west": 3})[0] == {"aws": 2, "west": 1}
    found, said = within_budget(spec("1 USD"), BUILT_IN, {"aws": 2, "west": 2}, {"aws": 4, "west": 1})
    assert found == {"aws": 2, "west": 1}
    assert said.startswith("the budget bears no more: ")
    assert within_budget(spec("100000 USD"), BUILT_IN, {"aws": 1, "west": 1}, {"aws": 4, "west": 4})[1] == ""
