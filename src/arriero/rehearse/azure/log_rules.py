"""What a log search alert of the emulated Azure Monitor says of the lines in a workspace, look by look. Pure.

Fired when its question finds more lines in the window than the threshold, each group for itself where the rule says so;
resolved after ten looks a minute apart in which it does not, three up to a quarter of an hour apart, else two:
https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-overview
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from arriero.rehearse.azure import log_query
from arriero.rehearse.azure.alert_messages import Change, Told
from arriero.rehearse.azure.alert_rules import minutes
from arriero.rehearse.azure.answers import Document
from arriero.rehearse.azure.log_query import Row


@dataclass(frozen=True, slots=True)
class LogRule:
    """One question to one workspace; `column` tells the groups apart that are judged by themselves, if any are."""

    name: str
    scope: str
    question: str
    column: str
    threshold: float
    window_minutes: int
    every_minutes: int
    actions: tuple[str, ...]

    @classmethod
    def of(cls, found: Document) -> LogRule | None:
        """None for what is switched off, or what nobody plays here."""
        told = found["properties"]
        rows, scopes = (told.get("criteria") or {}).get("allOf") or [], told.get("scopes") or []
        if not told.get("enabled") or len(rows) != 1 or len(scopes) != 1:
            return None
        row, dimensions = rows[0], rows[0].get("dimensions") or []
        is_each = [(one["operator"], one["values"]) for one in dimensions] == [("Include", ["*"])]
        periods = (row.get("failingPeriods") or {}).get("numberOfEvaluationPeriods", 1)
        if (row.get("timeAggregation"), row.get("operator"), periods) != ("Count", "GreaterThan", 1):
            return None
        return cls(
            name=str(found["name"]),
            scope=str(scopes[0]).lower(),
            question=str(row["query"]),
            column=str(dimensions[0]["name"]) if is_each else "",
            threshold=float(row["threshold"]),
            window_minutes=minutes(str(told["windowSize"])),
            every_minutes=minutes(str(told["evaluationFrequency"])),
            actions=tuple(str(each).lower() for each in (told.get("actions") or {}).get("actionGroups") or ()),
        )

    @property
    def healthy_for(self) -> int:
        if self.every_minutes == 1:
            return 10
        return 3 if self.every_minutes < 15 else 2

    def counts(self, rows: Sequence[Row]) -> Mapping[str, int]:
        """How many of the window's lines the question finds, by group; all under one empty name without a column.

        Raises ArmError for a question that is not understood.
        """
        return Counter(row.column(self.column) if self.column else "" for row in log_query.found(self.question, rows))


@dataclass
class LogCondition:
    """One rule's memory of one group."""

    is_fired: bool = False
    _healthy: int = 0

    def look(self, rule: LogRule, count: int) -> Change:
        if count > rule.threshold:
            self._healthy = 0
            fires, self.is_fired = not self.is_fired, True
            return "Fired" if fires else ""
        self._healthy += 1
        if self.is_fired and self._healthy >= rule.healthy_for:
            self.is_fired = False
            return "Resolved"
        return ""


@dataclass
class LogConditions:
    """One rule's memory of all groups."""

    looked: int
    """The minute of the last look, or that in which the rule was first seen."""
    by_group: dict[str, LogCondition] = field(default_factory=dict)

    def is_due(self, rule: LogRule, minute: int) -> bool:
        return minute - self.looked >= rule.every_minutes

    def look(self, rule: LogRule, minute: int, rows: Sequence[Row]) -> list[tuple[str, int, Change]]:
        """What changed: the group, how many lines, and which way. Raises ArmError for a question not understood."""
        self.looked = minute
        counts = rule.counts(rows)
        found: list[tuple[str, int, Change]] = []
        for group in sorted({*counts, *self.by_group}):
            count = counts.get(group, 0)
            if change := self.by_group.setdefault(group, LogCondition()).look(rule, count):
                found.append((group, count, change))
        return found


def told(rule: LogRule, group: str, count: int) -> Told:
    """What its message says of a group."""
    condition = {
        "searchQuery": rule.question,
        "metricMeasureColumn": None,
        "targetResourceTypes": "['Microsoft.OperationalInsights/workspaces']",
        "operator": "GreaterThan",
        "threshold": f"{rule.threshold:g}",
        "timeAggregation": "Count",
        "dimensions": [{"name": rule.column, "value": group}] if rule.column else [],
        "metricValue": count,
        "failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
    }
    context = {
        "conditionType": "LogQueryCriteria",
        "condition": {"windowSize": f"PT{rule.window_minutes}M", "allOf": [condition]},
    }
    return Told(rule.name, rule.scope, rule.actions, "Log", context)
