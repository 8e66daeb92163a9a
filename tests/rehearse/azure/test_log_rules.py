"""Log search alerts of the emulated Azure Monitor, look by look."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from arriero.rehearse.azure.answers import ArmError
from arriero.rehearse.azure.log_query import Row
from arriero.rehearse.azure.log_rules import LogConditions, LogRule, told

QUESTION = 'ContainerInstanceLog_CL\n| where Message contains "bad"'
EACH = [{"name": "ContainerGroup_s", "operator": "Include", "values": ["*"]}]
CRITERION: dict[str, Any] = {
    "query": QUESTION,
    "timeAggregation": "Count",
    "operator": "GreaterThan",
    "threshold": 2,
    "dimensions": EACH,
    "failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
}
FOUND: dict[str, Any] = {
    "name": "bad",
    "properties": {
        "enabled": True,
        "scopes": ["/subscriptions/1/X/llm"],
        "windowSize": "PT30M",
        "evaluationFrequency": "PT10M",
        "criteria": {"allOf": [CRITERION]},
        "actions": {"actionGroups": ["/subscriptions/1/Y"]},
    },
}
BY_GROUP = LogRule("bad", "/subscriptions/1/x/llm", QUESTION, "ContainerGroup_s", 2.0, 30, 10, ("/subscriptions/1/y",))


def rows(**groups: int) -> list[Row]:
    at = datetime(2026, 11, 29, 12, tzinfo=UTC)
    return [
        Row(at, {"ContainerGroup_s": group, "Message": "so bad"})
        for group, count in groups.items()
        for _ in range(count)
    ]


def played(rule: LogRule, looks: Iterable[dict[str, int]]) -> list[tuple[int, str, str]]:
    """The look, the group and what changed."""
    conditions = LogConditions(0)
    return [
        (number, group, change)
        for number, found in enumerate(looks)
        for group, _, change in conditions.look(rule, number, rows(**found))
    ]


def test_a_rule_is_read_as_azure_stores_it() -> None:
    assert LogRule.of(FOUND) == BY_GROUP


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": False},
        {"scopes": ["/a", "/b"]},
        {"criteria": {"allOf": [CRITERION, CRITERION]}},
        {"criteria": {"allOf": [{**CRITERION, "operator": "Equals"}]}},
        {"criteria": {"allOf": [{**CRITERION, "timeAggregation": "Average"}]}},
        {"criteria": {"allOf": [{**CRITERION, "failingPeriods": {"numberOfEvaluationPeriods": 2}}]}},
    ],
)
def test_what_is_switched_off_or_not_played_here_is_no_rule(change: dict[str, Any]) -> None:
    assert LogRule.of({**FOUND, "properties": {**FOUND["properties"], **change}}) is None


def test_each_group_fires_once_by_its_own_lines_and_resolves_after_three_healthy_looks() -> None:
    looks = [{"a": 2, "b": 2}, {"a": 3}, {"a": 4, "b": 3}, {}, {"b": 2}, {"b": 2}, {}]
    assert played(BY_GROUP, looks) == [
        (1, "a", "Fired"), (2, "b", "Fired"), (5, "a", "Resolved"), (5, "b", "Resolved"),
    ]  # fmt: skip


def test_without_a_dimension_all_lines_are_one_number() -> None:
    whole = LogRule.of({**FOUND, "properties": {**FOUND["properties"], "criteria": {"allOf": [
        {**CRITERION, "dimensions": []}]}}})  # fmt: skip
    assert whole is not None
    assert played(whole, [{"a": 1, "b": 1}, {"a": 2, "b": 1}]) == [(1, "", "Fired")]


@pytest.mark.parametrize(("every", "healthy"), [(1, 10), (5, 3), (10, 3), (15, 2), (60, 2)])
def test_how_long_it_is_healthy_before_it_resolves(every: int, healthy: int) -> None:
    rule = LogRule("bad", "", QUESTION, "", 2.0, 60, every, ())
    assert played(rule, [{"a": 3}, *[{}] * 12]) == [(0, "", "Fired"), (healthy, "", "Resolved")]


def test_it_is_looked_at_as_often_as_the_rule_says() -> None:
    conditions = LogConditions(7)
    assert [minute for minute in range(7, 30) if conditions.is_due(BY_GROUP, minute)] == [*range(17, 30)]
    conditions.look(BY_GROUP, 19, [])
    assert not conditions.is_due(BY_GROUP, 28)


def test_a_question_that_is_not_understood_is_said() -> None:
    rule = LogRule("bad", "", "Heartbeat", "", 2.0, 60, 5, ())
    with pytest.raises(ArmError, match="Heartbeat"):
        LogConditions(0).look(rule, 0, [])


def test_what_it_sends_names_the_group_and_the_number() -> None:
    (criterion,) = told(BY_GROUP, "a", 5).context["condition"]["allOf"]
    assert (criterion["dimensions"], criterion["metricValue"]) == ([{"name": "ContainerGroup_s", "value": "a"}], 5)
