"""In what state a metric alarm of the emulated CloudWatch is, by the periods behind it. Pure.

It looks a little farther back than the alarm's periods: where enough figures are there, the newest count; else all that
are there count, and the rest is made up as the alarm says. So an alarm on absence comes some periods late. How far back
is not said for every alarm; two more is that of the example:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Samples = Sequence[float]

_FARTHER = 2
_STATISTICS: Mapping[str, Callable[[Samples], float]] = {
    "SampleCount": lambda samples: float(len(samples)),
    "Average": lambda samples: sum(samples) / len(samples),
    "Maximum": max,
    "Minimum": min,
    "Sum": sum,
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
}
# What a missing figure counts as; an alarm that says nothing of them, or "ignore", is not played.
_MISSING = {"breaching": True, "notBreaching": False}


@dataclass(frozen=True, slots=True)
class Rule:
    """`datapoints` of `periods` periods have to be beyond the threshold."""

    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    comparison: str
    threshold: float
    period_seconds: float
    periods: int
    datapoints: int
    missing: str

    @classmethod
    def of(cls, alarm: Any) -> Rule | None:
        """From moto's `Alarm`; None for what nobody plays here."""
        if alarm.namespace != "AWS/ECS" or alarm.metric_data_queries or alarm.rule:
            return None
        if alarm.statistic not in _STATISTICS or alarm.comparison_operator not in _COMPARISONS:
            return None
        if alarm.treat_missing_data not in _MISSING:
            return None
        return cls(
            metric=alarm.metric_name,
            dimensions={each.name: each.value for each in alarm.dimensions},
            statistic=alarm.statistic,
            comparison=alarm.comparison_operator,
            threshold=float(alarm.threshold),
            period_seconds=float(alarm.period),
            periods=int(alarm.evaluation_periods),
            datapoints=int(alarm.datapoints_to_alarm or alarm.evaluation_periods),
            missing=alarm.treat_missing_data,
        )

    @property
    def service(self) -> str:
        """As Application Auto Scaling names it."""
        return f"service/{self.dimensions.get('ClusterName', '')}/{self.dimensions.get('ServiceName', '')}"

    @property
    def looks_at(self) -> int:
        """So many periods."""
        return self.periods + _FARTHER

    def state(self, periods: Sequence[Samples]) -> State:
        """By the last periods, oldest first; one without a sample is missing."""
        told = [_STATISTICS[self.statistic](samples) for samples in periods[-self.looks_at :] if samples]
        beyond = [_COMPARISONS[self.comparison](value, self.threshold) for value in told][-self.periods :]
        made_up = [_MISSING[self.missing]] * (self.periods - len(beyond))
        return "ALARM" if sum([*beyond, *made_up]) >= self.datapoints else "OK"
