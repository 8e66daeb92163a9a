"""CloudWatch's figures of ECS services on the stage: GetMetricData, answered from what was planted or measured.

Only for the namespace AWS/ECS, of which nobody may put figures on AWS either; all else is moto's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from arriero.rehearse.minutes import Minutes
from arriero.rehearse.planted import Figures

# The metrics of AWS/ECS that the stage has: AWS's name and its own.
KINDS = {"CPUUtilization": "cpu", "MemoryUtilization": "memory"}


def is_ours(query: Mapping[str, Any]) -> bool:
    return bool(query.get("MetricStat", {}).get("Metric", {}).get("Namespace") == "AWS/ECS")


def answer(
    figures: Figures,
    minutes: Minutes,
    region: str,
    queries: Iterable[Mapping[str, Any]],
    span: tuple[datetime, datetime],
) -> list[Any]:
    """As moto's backend answers: oldest first. Measured is what is scaled by itself, minute by minute."""
    start, end = map(_aware, span)
    return [_one(figures, minutes, region, query, start, end) for query in queries]


def _one(
    figures: Figures, minutes: Minutes, region: str, query: Mapping[str, Any], start: datetime, end: datetime
) -> dict[str, Any]:
    stat = query["MetricStat"]
    metric = stat["Metric"]
    names = {each["Name"]: each["Value"] for each in metric.get("Dimensions", ())}
    cluster, kind = names.get("ClusterName", ""), KINDS.get(metric["MetricName"])
    known = figures.of(cluster) or minutes.of(f"{region} service/{cluster}/{names.get('ServiceName', '')}")
    found = list(known.between(kind, start, end, float(stat["Period"]))) if known and kind else []
    return {
        "id": query["Id"],
        "label": query.get("Label") or metric["MetricName"],
        "timestamps": [at for at, _ in found],
        "values": [value for _, value in found],
        "status_code": "Complete",
    }


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
