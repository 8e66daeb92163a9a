"""Budgets, bills and tokens: what is said of them, by tables; and never more than is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from arriero.catalog.prices import BUILT_IN
from arriero.cli.cost_lines import statement_lines
from arriero.cost.estimate import estimate
from arriero.cost.money import Money
from arriero.cost.spending import Comparison, Period, per_million_tokens
from arriero.cost.statement import Statement, state
from arriero.spec.budget import Budget
from arriero.spec.model import Spec

EAST, NOWHERE = {"cloud": "aws", "region": "us-east-1"}, {"cloud": "aws", "region": "sa-east-1"}
START, NOON = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 3, 12, tzinfo=UTC)


def spec(budget: dict[str, Any] | None = None, **sites: dict[str, Any]) -> Spec:
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": sites or {"east": EAST}}
    return Spec.model_validate({**whole, "budget": budget or {}})


def dollars(text: str) -> Money:
    return Money(Decimal(text))


@pytest.mark.parametrize(
    ("budget", "sites", "standing", "sentence"),
    [
        ({"monthly": "1000 USD"}, {"east": EAST}, "within", "$347.54 of $1,000.00 a month (35%)"),
        ({"monthly": "400 USD"}, {"east": EAST}, "near", "$347.54 of $400.00 a month (87%)"),
        ({"monthly": "400 USD", "warn": "90%"}, {"east": EAST}, "within", "$347.54 of $400.00 a month (87%)"),
        ({"monthly": "347.54 USD"}, {"east": EAST}, "near", "$347.54 of $347.54 a month (100%)"),
        ({"monthly": "300 USD"}, {"east": EAST}, "over", "$347.54 of $300.00 a month (116%), $47.54 too much"),
        (
            {"monthly": "1000 USD"},
            {"east": EAST, "south": NOWHERE},
            "unknown",
            "at least $347.54 of $1,000.00 a month (35%); the price of south vCPU, south memory, south public IPv4 is "
            "unknown",
        ),
        (
            {"monthly": "300 USD"},
            {"east": EAST, "south": {**NOWHERE, "scale": {"min": 1}}},
            "over",
            "at least $347.54 of $300.00 a month (116%), $47.54 too much; the price of south vCPU, south memory, south "
            "public IPv4 is unknown",
        ),
    ],
)
def test_a_budget_is_judged(budget: Any, sites: Any, standing: str, sentence: str) -> None:
    found = state(spec(budget, **sites), {}).budget
    assert found is not None
    assert (found.standing, found.sentence, found.warns) == (standing, sentence, standing != "within")


def test_without_a_budget_nothing_is_judged() -> None:
    assert state(spec(), {}).budget is None
    assert Budget().monthly is None


@pytest.mark.parametrize(
    ("spent", "expected", "word"),
    [
        (None, "10", "unknown"),
        ("0.01", "0.02", "too little to tell yet"),
        ("11", "10", "as expected"),
        ("8", "10", "as expected"),
        ("13", "10", "30% more than expected"),
        ("2.5", "10", "75% less than expected"),
        ("0", "10", "100% less than expected"),
        ("4", "0", "nothing was expected"),
    ],
)
def test_a_bill_is_held_against_what_was_expected(spent: str | None, expected: str, word: str) -> None:
    found = Comparison("east", dollars(expected), True, None if spent is None else dollars(spent))
    assert found.word == word


def test_without_a_price_there_is_nothing_to_compare_with() -> None:
    assert Comparison("south", Money(), False, dollars("5")).word == "no price to compare with"


@pytest.mark.parametrize(
    ("began", "hours"),
    [(None, 60), (datetime(2026, 10, 1, tzinfo=UTC), 60), (datetime(2026, 11, 3, tzinfo=UTC), 12), (NOON, 0)],
)
def test_expected_is_from_when_the_service_ran(began: datetime | None, hours: int) -> None:
    assert Period(START, NOON, began).hours == hours


def whole(**more: Any) -> Statement:
    sites = {"east": EAST, "gone": EAST, "desk": {"cloud": "local", "hosts": ["127.0.0.1"]}}
    spent = {"east": dollars("29"), "gone": dollars("3"), "old": dollars("0.5")}
    counts = {"east": 2, "gone": None, "desk": 1}
    return state(spec(None, **sites), counts, BUILT_IN, more.get("speeds"), spent, Period(START, NOON, None))


def test_a_statement_tells_sites_that_stand_and_those_that_were_billed() -> None:
    found = whole()
    assert [(each.site, str(each.expected), each.word) for each in found.spent] == [
        ("east", "$28.56", "as expected"),
        ("gone", "$0.00", "nothing was expected"),
    ]
    assert str(found.elsewhere) == "$0.50"


def test_a_million_tokens_are_told_where_speed_and_price_are_known() -> None:
    found = whole(speeds={"east": {"llama2:latest": 20.0, "tiny:latest": 0.0}, "desk": {"llama2:latest": 9.0}})
    # 0.23804 dollars an hour / (20 x 3600 tokens) x a million
    assert found.sites[0].tokens == {"llama2:latest": dollars("3.306111111111111111111111111")}
    assert [dict(site.tokens) for site in found.sites[1:]] == [{}, {}]
    assert per_million_tokens(dollars("1"), 0) is None


def test_the_table_says_what_is_known_and_no_more() -> None:
    told = statement_lines(state(spec(None, east=EAST, south=NOWHERE), {"east": 3}))
    assert [line.split("  ")[0] for line in told[1:5]] == ["site", "east", "south", "together"]
    assert "$0.7141" in told[2]
    assert " ".join(told[3].split()) == "south 2 planned, at most 4 unknown unknown unknown price unknown"
    assert told[4].split()[:6] == ["together", "5", "$0.7141", "or", "more", "$521.31"]
    assert told[-1].startswith("No source of a price: south: vCPU, south: memory, south: public IPv4;")


def test_amounts_of_cents_are_shown_finer() -> None:
    found = state(spec(), {"east": 2}, BUILT_IN, None, {"east": dollars("0.0123")}, Period(START, NOON, NOON))
    assert "  east: $0.0123; expected $0.0000: too little to tell yet" in statement_lines(found)


def test_a_statement_can_be_written_as_json() -> None:
    told = json.loads(json.dumps(whole().as_json()))
    assert told["sites"][0]["most"] == {"targets": 4, "hourly": "0.95216", "monthly": "695.08"}
    assert told["spent"]["sites"]["east"] == {"expected": "28.564800", "spent": "29.000000", "word": "as expected"}
    assert told["spent"]["elsewhere"] == "0.5"
    assert estimate(spec().site("east"), 2).as_json() == told["sites"][0]["price"]
