"""Azure Monitor's metric alerts of container groups. Pure data.

Source of the figures: Microsoft's "Supported metrics with Azure Monitor", Microsoft.ContainerInstance/containerGroups:
CpuUsage in thousandths of a processor and MemoryUsage in bytes, with the container's name as a dimension; the form of a
rule is the ARM schema that the stage holds it to. A rule watches one group, and groups are named by release: so these
are made anew after each one. Azure measures nothing of a group that does not run, and says nothing of its absence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

API_VERSION = "2018-03-01"
GIGABYTE = 10**9


@dataclass(frozen=True, slots=True)
class MetricAlert:
    """It is on when the mean of `metric` over `window_minutes` is above `threshold`, looked at each `every_minutes`."""

    name: str
    group: str
    resource_group: str
    metric: str
    threshold: float
    window_minutes: int
    every_minutes: int
    severity: int
    summary: str

    def body(self, subscription: str) -> Mapping[str, Any]:
        """The rule as ARM takes it, without action groups."""
        base = f"/subscriptions/{subscription}/resourceGroups/{self.resource_group}"
        criterion = {
            "criterionType": "StaticThresholdCriterion",
            "name": "ollama",
            "metricNamespace": "Microsoft.ContainerInstance/containerGroups",
            "metricName": self.metric,
            "operator": "GreaterThan",
            "threshold": self.threshold,
            "timeAggregation": "Average",
            "dimensions": [{"name": "containerName", "operator": "Include", "values": ["ollama"]}],
        }
        return {
            "location": "global",
            "properties": {
                "description": self.summary,
                "severity": self.severity,
                "enabled": True,
                "autoMitigate": True,
                "scopes": [f"{base}/providers/Microsoft.ContainerInstance/containerGroups/{self.group}"],
                "evaluationFrequency": f"PT{self.every_minutes}M",
                "windowSize": f"PT{self.window_minutes}M",
                "criteria": {
                    "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                    "allOf": [criterion],
                },
            },
        }


def alerts(group: str, resource_group: str, cpu: float, memory_gb: float) -> tuple[MetricAlert, ...]:
    """Of one container group, whose Ollama has so many processors and so much memory."""
    return (
        MetricAlert(
            f"{group}-memory", group, resource_group, "MemoryUsage", round(0.9 * memory_gb * GIGABYTE), 15, 5, 2,
            "Ollama has used more than 90 % of its memory for a quarter of an hour: it is about to be killed.",
        ),
        MetricAlert(
            f"{group}-cpu", group, resource_group, "CpuUsage", round(950 * cpu), 30, 5, 3,
            "Ollama has had no processor to spare for half an hour: answers are slow, or more groups are missing.",
        ),
    )  # fmt: skip
