"""Has the emulated CloudWatch's alarms be in the state that their figures say, whenever somebody asks.

Figures are those that were planted, by the minute of the clock, else those measured, by the stage's own minutes. Nobody
is told of a change: the stage has no topics.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from arriero.clock import Clock
from arriero.rehearse.aws.alarm_rules import Rule, Samples, State
from arriero.rehearse.aws.watching import KINDS
from arriero.rehearse.minutes import Minutes, Series
from arriero.rehearse.planted import Figures


@dataclass(frozen=True, slots=True)
class Alarming:
    """`minute_seconds` is how long a minute of the stage lasts."""

    figures: Figures
    minutes: Minutes
    clock: Clock
    minute_seconds: float

    def judge(self, region: str, alarms: Iterable[Any]) -> None:
        """Brings moto's alarms of one region up to date."""
        for alarm in alarms:
            rule = Rule.of(alarm)
            if rule is None or rule.metric not in KINDS:
                continue
            state = self._state(rule, region, alarm.configuration_updated_timestamp)
            if state != alarm.state_value:
                alarm.update_state(f"Threshold Crossed: {rule.metric} is {state}", "{}", state)

    def _state(self, rule: Rule, region: str, made_at: datetime) -> State:
        now = self.clock.now()
        planted = self.figures.of(rule.dimensions.get("ClusterName", ""))
        if planted is not None:
            end = now - timedelta(seconds=now.timestamp() % rule.period_seconds)
            return rule.state(_periods(planted.samples, rule, end, rule.period_seconds))
        measured = self.minutes.of(f"{region} {rule.service}")
        length = rule.period_seconds / 60 * self.minute_seconds
        # What stood before the alarm was made, nobody measured.
        if measured is None and (now - made_at.replace(tzinfo=UTC)).total_seconds() < rule.looks_at * length:
            return "INSUFFICIENT_DATA"
        return rule.state(_periods((measured or Series(())).samples, rule, now, length))


def _periods(samples: Any, rule: Rule, end: datetime, seconds: float) -> list[Samples]:
    found: list[Samples] = []
    for back in range(rule.looks_at, 0, -1):
        since, until = (end - timedelta(seconds=seconds * count) for count in (back, back - 1))
        inside = samples(KINDS[rule.metric], since, until, seconds).values()
        found.append([value for values in inside for value in values])
    return found
