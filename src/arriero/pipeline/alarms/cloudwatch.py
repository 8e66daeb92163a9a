"""CloudWatch alarms of an ECS service, on its free figures of a minute each (namespace AWS/ECS). Pure data.

Source of the figures: ECS developer guide, "Amazon ECS CloudWatch metrics"; of how an alarm is evaluated and what a
missing figure does: CloudWatch user guide, "Using Amazon CloudWatch alarms". A service none of whose tasks runs has no
figure at all: so the first alarm goes by its absence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PERIOD_SECONDS = 60


@dataclass(frozen=True, slots=True)
class CloudWatchAlarm:
    """It is on when `datapoints` of the last `periods` minutes are beyond `threshold`, or missing ones count so."""

    name: str
    metric: str
    statistic: Literal["SampleCount", "Average", "Maximum"]
    comparison: Literal["LessThanThreshold", "GreaterThanThreshold"]
    threshold: float
    periods: int
    datapoints: int
    missing: Literal["breaching", "notBreaching"]
    cluster: str
    service: str
    region: str
    summary: str


def alarms(service: str, cluster: str, region: str) -> tuple[CloudWatchAlarm, ...]:
    """Of one service in one region; names are unique in a region and an account."""
    where = (cluster, service, region)
    return (
        CloudWatchAlarm(
            f"{service}-nothing-runs", "CPUUtilization",
            "SampleCount", "LessThanThreshold", 1, 5, 5, "breaching", *where,
            "No task of the service has run for five minutes.",
        ),
        CloudWatchAlarm(
            f"{service}-memory", "MemoryUtilization",
            "Maximum", "GreaterThanThreshold", 90, 15, 10, "notBreaching", *where,
            "A task has used more than 90 % of its memory for ten of fifteen minutes: it is about to be killed.",
        ),
        CloudWatchAlarm(
            f"{service}-cpu", "CPUUtilization",
            "Average", "GreaterThanThreshold", 95, 30, 30, "notBreaching", *where,
            "The tasks have had no processor to spare for half an hour: answers are slow, or more tasks are missing.",
        ),
    )  # fmt: skip
