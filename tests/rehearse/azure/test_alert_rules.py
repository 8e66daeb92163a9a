"""Metric alerts of the emulated Azure Monitor, minute by minute."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from arriero.control.alerts import Alert, read
from arriero.rehearse.azure.alert_messages import message
from arriero.rehearse.azure.alert_rules import Condition, Rule, minutes, told

CRITERION: dict[str, Any] = {
    "metricName": "CpuUsage",
    "operator": "GreaterThan",
    "threshold": 600,
    "timeAggregation": "Average",
    "dimensions": [{"name": "containerName", "operator": "Include", "values": ["ollama"]}],
}
FOUND: dict[str, Any] = {
    "name": "g-1-cpu-high",
    "properties": {
        "enabled": True,
        "scopes": ["/subscriptions/1/X/g-1"],
        "windowSize": "PT5M",
        "criteria": {"allOf": [CRITERION]},
        "actions": [{"actionGroupId": "/subscriptions/1/Y"}],
    },
}
HIGH = Rule("g-1-cpu-high", "/subscriptions/1/x/g-1", "CpuUsage", "ollama", True, 600.0, 5, ("/subscriptions/1/y",))
LOW = Rule("g-1-cpu-low", "/subscriptions/1/x/g-1", "CpuUsage", "ollama", False, 300.0, 15, ())


def played(rule: Rule, values: Iterable[float | None]) -> list[tuple[int, str]]:
    condition = Condition()
    changes = [(minute, condition.minute(rule, value)) for minute, value in enumerate(values)]
    return [(minute, change) for minute, change in changes if change]


def test_a_rule_is_read_as_azure_stores_it() -> None:
    assert Rule.of(FOUND) == HIGH


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": False},
        {"scopes": ["/a", "/b"]},
        {"criteria": {"allOf": [CRITERION, CRITERION]}},
        {"criteria": {"allOf": [{**CRITERION, "operator": "Equals"}]}},
        {"criteria": {"allOf": [{**CRITERION, "metricName": "NetworkBytesReceivedPerSecond"}]}},
        {"criteria": {"allOf": [{**CRITERION, "timeAggregation": "Maximum"}]}},
    ],
)
def test_what_is_switched_off_or_not_played_here_is_no_rule(change: dict[str, Any]) -> None:
    assert Rule.of({**FOUND, "properties": {**FOUND["properties"], **change}}) is None


def test_it_fires_once_by_the_mean_of_its_window_and_resolves_after_three_healthy_minutes() -> None:
    # The mean of five minutes falls to 600 in the second minute of calm.
    assert played(HIGH, [100, 900, 900, 900, 900, 900, 0, 0, 0, 0, 0]) == [(2, "Fired"), (9, "Resolved")]
    assert played(HIGH, [600] * 20) == []


def test_below_only_a_whole_window_tells_and_what_nobody_measured_is_no_low_load() -> None:
    assert played(LOW, [0.0] * 14) == []
    assert played(LOW, [0.0] * 15) == [(14, "Fired")]
    assert played(LOW, [None] * 60) == []
    assert played(LOW, [None, 0.0] * 14) == []


def test_what_it_sends_is_what_the_controller_reads() -> None:
    words = json.dumps(message(told(HIGH, 900.0), "Fired", "2026-11-29T12:00:00Z", "1")).encode()
    assert read(words) == Alert("g-1-cpu-high", True, "2026-11-29T12:00:00Z")
    assert not read(json.dumps(message(told(HIGH, 0.0), "Resolved", "2026-11-29T12:00:00Z", "1")).encode()).is_fired


@pytest.mark.parametrize(("period", "expected"), [("PT1M", 1), ("PT1H", 60), ("PT1H30M", 90), ("P1D", 5), ("", 5)])
def test_periods_are_minutes(period: str, expected: int) -> None:
    assert minutes(period) == expected
