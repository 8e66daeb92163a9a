"""Azure Monitor's alerts on the lines that a site's workspace keeps (`logs.to_workspace`). Pure data.

Form: Microsoft.Insights/scheduledQueryRules of 2023-12-01, of the kind LogAlert, which counts what a question in KQL
finds. They watch the site, whatever its groups are called. Lines come to a workspace up to ten minutes late: so each
look goes over three times as long as the time between two. What Ollama writes is from its source: an error through
slog is a line with `level=ERROR`, and a server that has started says "Listening on" where and in which version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from arriero.clouds.azure import workspaces

API_VERSION = "2023-12-01"
EVERY_MINUTES, WINDOW_MINUTES = 10, 30
# What tells one container group from another.
GROUP_COLUMN = "ContainerGroup_s"


@dataclass(frozen=True, slots=True)
class LogAlert:
    """It is on when more than `threshold` lines of WINDOW_MINUTES hold `words`: of each group, or of all of them."""

    name: str
    workspace: str
    region: str
    words: str
    threshold: int
    is_by_group: bool
    severity: int
    summary: str

    @property
    def question(self) -> str:
        """In KQL: the lines of Ollama's containers that count; Azure adds the time."""
        return "\n| ".join(
            (
                workspaces.TABLE,
                f'where {GROUP_COLUMN} startswith "{self.workspace}-r"',
                'where ContainerName_s == "ollama"',
                f'where Message contains "{self.words}"',
            )
        )

    def body(self, subscription: str) -> Mapping[str, Any]:
        """The rule as ARM takes it, without action groups. The workspace is in a resource group of its own name.

        Azure is told not to try the question: the table is there only once a line has come.
        """
        each = {"name": GROUP_COLUMN, "operator": "Include", "values": ["*"]}
        criterion = {
            "query": self.question,
            "timeAggregation": "Count",
            "operator": "GreaterThan",
            "threshold": self.threshold,
            "dimensions": [each] if self.is_by_group else [],
            "failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1},
        }
        base = f"/subscriptions/{subscription}/resourceGroups/{self.workspace}"
        return {
            "location": self.region,
            "kind": "LogAlert",
            "properties": {
                "description": self.summary,
                "severity": self.severity,
                "enabled": True,
                "autoMitigate": True,
                "skipQueryValidation": True,
                "scopes": [f"{base}/providers/{workspaces.TYPE}/{self.workspace}"],
                "evaluationFrequency": f"PT{EVERY_MINUTES}M",
                "windowSize": f"PT{WINDOW_MINUTES}M",
                "criteria": {"allOf": [criterion]},
            },
        }


def alerts(workspace: str, region: str) -> tuple[LogAlert, ...]:
    """Of one site, whose workspace, resource group and groups are all named so."""
    return (
        LogAlert(
            f"{workspace}-restarts", workspace, region, "Listening on", 3, True, 2,
            "An Ollama has started more than three times within half an hour: it dies and comes back.",
        ),
        LogAlert(
            f"{workspace}-errors", workspace, region, "level=ERROR", 10, False, 3,
            "Ollama has written more than ten errors within half an hour: models don't load, or their runners die.",
        ),
    )  # fmt: skip
