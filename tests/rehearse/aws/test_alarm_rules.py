"""Alarms of the emulated CloudWatch: by their periods, and as their figures say when somebody asks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto.cloudwatch.models import Alarm

from arriero.clock import ManualClock
from arriero.rehearse.aws.alarm_rules import Rule
from arriero.rehearse.aws.alarming import Alarming
from arriero.rehearse.gauge import Measured
from arriero.rehearse.minutes import Minutes
from arriero.rehearse.planted import Figures

NOON = datetime(2026, 11, 30, 12, 0, 30, tzinfo=UTC)
RULE = Rule("CPUUtilization", {}, "Average", "GreaterThanThreshold", 1.0, 60.0, 3, 3, "breaching")
# The examples of "Configuring how CloudWatch alarms treat missing data": X is beyond, 0 is not, - is missing.
TABLE = [
    ("0-X-X", "OK", "OK"),
    ("----0", "OK", "OK"),
    ("-----", "ALARM", "OK"),
    ("0XX-X", "ALARM", "ALARM"),
    ("--X--", "ALARM", "OK"),
]


def periods(drawn: str) -> list[Sequence[float]]:
    return [{"0": (0.5,), "X": (2.0,), "-": ()}[letter] for letter in drawn]


@pytest.mark.parametrize(("drawn", "breaching", "not_breaching"), TABLE)
def test_a_missing_figure_counts_only_where_too_few_are_there(drawn: str, breaching: str, not_breaching: str) -> None:
    assert RULE.state(periods(drawn)) == breaching
    assert replace(RULE, missing="notBreaching").state(periods(drawn)) == not_breaching


def test_of_so_many_periods_so_many_have_to_be_beyond() -> None:
    rule = replace(RULE, periods=5, datapoints=2)
    assert rule.state(periods("XX00X0X")) == "ALARM"
    assert rule.state(periods("XX000X0")) == "OK", "the oldest two are looked at only where others are missing"


@pytest.mark.parametrize(("statistic", "value"), [("SampleCount", 3), ("Average", 2), ("Maximum", 4), ("Minimum", 1)])
def test_it_knows_the_statistics_of_a_period(statistic: str, value: float) -> None:
    rule = replace(RULE, statistic=statistic, comparison="GreaterThanOrEqualToThreshold", periods=1, datapoints=1)
    assert replace(rule, threshold=value).state([(4.0, 1.0, 1.0)]) == "ALARM"
    assert replace(rule, threshold=value + 0.1).state([(4.0, 1.0, 1.0)]) == "OK"


def alarm(**changes: Any) -> Any:
    told = {
        "namespace": "AWS/ECS", "metric_name": "CPUUtilization", "statistic": "Average", "threshold": 95.0,
        "comparison_operator": "GreaterThanThreshold", "period": 60, "evaluation_periods": 3,
        "datapoints_to_alarm": None, "treat_missing_data": "breaching",
        "dimensions": [{"Name": "ClusterName", "Value": "llm-east"}, {"Name": "ServiceName", "Value": "llm"}],
    }  # fmt: skip
    nothing = dict.fromkeys(
        ("metric_data_queries", "extended_statistic", "ok_actions", "insufficient_data_actions", "unit",
         "evaluate_low_sample_count_percentile", "threshold_metric_id", "rule")
    )  # fmt: skip
    named = {"account_id": "1", "region_name": "us-east-1", "name": "a", "description": "", "alarm_actions": []}
    made = Alarm(**{**nothing, **named, "actions_enabled": True, **told, **changes})
    made.configuration_updated_timestamp = NOON.replace(tzinfo=None)
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": "Arriero"},
        {"treat_missing_data": "missing"},
        {"statistic": "p99"},
        {"rule": "ALARM(b)"},
        {"comparison_operator": "GreaterThanUpperThreshold"},
    ],
)
def test_what_is_not_played_here_stays_as_it_is(changes: dict[str, Any], tmp_path: Path) -> None:
    found = alarm(**changes)
    Alarming(Figures(tmp_path), Minutes(), ManualClock(NOON), 60).judge("us-east-1", [found])
    assert (found.state_value, found.history) == ("OK", [])


def test_planted_figures_decide_minute_by_minute(tmp_path: Path) -> None:
    """Minutes that are not over count for nothing; each sample that is nearer than a minute is one of several."""
    (tmp_path / "metrics").mkdir()
    start = NOON - timedelta(minutes=10)
    told = {"start": start.isoformat(), "step": 30, "cpu": [50.0] * 12 + [99.0] * 12, "memory": [1.0] * 24}
    (tmp_path / "metrics/llm-east.json").write_text(json.dumps(told))
    clock, found = ManualClock(NOON - timedelta(minutes=2)), alarm()
    alarming = Alarming(Figures(tmp_path), Minutes(), clock, 60)
    states = []
    for _ in range(4):
        alarming.judge("us-east-1", [found])
        states.append(found.state_value)
        clock.sleep(60)
    assert states == ["OK", "OK", "ALARM", "ALARM"]
    assert len(found.history) == 1


def test_measured_minutes_are_the_stage_s_own_and_one_that_was_never_looked_at_is_not_judged(tmp_path: Path) -> None:
    clock, minutes, found = ManualClock(NOON), Minutes(), alarm()
    alarming = Alarming(Figures(tmp_path), minutes, clock, minute_seconds=3)
    alarming.judge("us-east-1", [found])
    assert found.state_value == "INSUFFICIENT_DATA"
    for value in (99.0, 99.0, 99.0, 99.0, 99.0, 10.0):
        clock.sleep(3)
        minutes.add("us-east-1 service/llm-east/llm", Measured(value, 1.0))
        minutes.close(clock.now() - timedelta(seconds=1))
        alarming.judge("us-east-1", [found])
    assert found.state_value == "OK"
    assert "ALARM" in {state for _, _, _, state, _ in found.history}
    clock.sleep(3 * 5)
    alarming.judge("us-east-1", [found])
    assert found.state_value == "ALARM", "nothing was measured for all that it looks at"


def test_a_rule_names_its_service_as_the_scaler_does() -> None:
    assert Rule.of(alarm()).service == "service/llm-east/llm"  # type: ignore[union-attr]
    assert Rule.of(SimpleNamespace(namespace="AWS/EC2")) is None
