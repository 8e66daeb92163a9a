"""What a metric alert of the emulated Azure Monitor says, minute by minute. Pure.

Fired when the mean over its window breaks the threshold, resolved after three evaluations in a row in which it does
not: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-types
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from arriero.rehearse.azure.alert_messages import Change, Told
from arriero.rehearse.azure.answers import Document

HEALTHY_FOR = 3
_MINUTES = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on one container of one group. `value_of` of a percentage is `whole` times that."""

    name: str
    scope: str
    metric: str
    container: str
    is_above: bool
    threshold: float
    window_minutes: int
    actions: tuple[str, ...]

    @classmethod
    def of(cls, found: Document) -> Rule | None:
        """None for what is switched off, or what nobody plays here."""
        told = found["properties"]
        rows = (told.get("criteria") or {}).get("allOf") or []
        scopes = told.get("scopes") or []
        if not told.get("enabled") or len(rows) != 1 or len(scopes) != 1 or rows[0].get("timeAggregation") != "Average":
            return None
        row, dimensions = rows[0], rows[0].get("dimensions") or [{}]
        if row.get("operator") not in ("GreaterThan", "LessThan") or row.get("metricName") not in (
            "CpuUsage",
            "MemoryUsage",
        ):
            return None
        return cls(
            name=str(found["name"]),
            scope=str(scopes[0]).lower(),
            metric=str(row["metricName"]),
            container=next(iter(dimensions[0].get("values") or ()), ""),
            is_above=row["operator"] == "GreaterThan",
            threshold=float(row["threshold"]),
            window_minutes=minutes(str(told.get("windowSize", "PT5M"))),
            actions=tuple(str(each["actionGroupId"]).lower() for each in told.get("actions") or ()),
        )


@dataclass
class Condition:
    """One rule's memory."""

    points: deque[float] = field(default_factory=deque)
    is_fired: bool = False
    _healthy: int = 0

    def minute(self, rule: Rule, value: float | None) -> Change:
        """A minute that nobody measured counts for nothing; below a threshold only a whole window tells."""
        if value is None:
            return ""
        self.points.append(value)
        while len(self.points) > rule.window_minutes:
            self.points.popleft()
        mean = sum(self.points) / len(self.points)
        is_whole = len(self.points) == rule.window_minutes
        breaks = mean > rule.threshold if rule.is_above else is_whole and mean < rule.threshold
        if breaks:
            self._healthy = 0
            fires, self.is_fired = not self.is_fired, True
            return "Fired" if fires else ""
        self._healthy += 1
        if self.is_fired and self._healthy >= HEALTHY_FOR:
            self.is_fired = False
            return "Resolved"
        return ""


def minutes(period: str) -> int:
    """`PT1H30M` is 90; 5 for what is not understood."""
    match = _MINUTES.fullmatch(period)
    return int(match[1] or 0) * 60 + int(match[2] or 0) if match and (match[1] or match[2]) else 5


def told(rule: Rule, value: float) -> Told:
    """What its message says; `value` is the last minute's."""
    condition = {
        "metricName": rule.metric,
        "metricNamespace": "Microsoft.ContainerInstance/containerGroups",
        "operator": "GreaterThan" if rule.is_above else "LessThan",
        "threshold": str(rule.threshold),
        "timeAggregation": "Average",
        "dimensions": [{"name": "containerName", "value": rule.container}],
        "metricValue": value,
    }
    context = {
        "conditionType": "SingleResourceMultipleMetricCriteria",
        "condition": {"windowSize": f"PT{rule.window_minutes}M", "allOf": [condition]},
    }
    return Told(rule.name, rule.scope, rule.actions, "Metric", context)
