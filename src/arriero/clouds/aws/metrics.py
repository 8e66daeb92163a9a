"""CPUUtilization and MemoryUtilization of a site's ECS service, from CloudWatch's GetMetricData.

Percent of what the task asks for: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service_utilization.html;
the mean over its tasks, and for memory the fullest one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from arriero.clouds.aws.clients import clients
from arriero.clouds.aws.errors import door
from arriero.clouds.metrics import STEP_SECONDS, Series, joined
from arriero.plan.model import SiteFacts, SiteRef

NAMESPACE = "AWS/ECS"
_ASKED = (("cpu", "CPUUtilization", "Average"), ("memory", "MemoryUtilization", "Maximum"))


def read(ref: SiteRef, found: SiteFacts, since: datetime, until: datetime) -> Series:
    """Of the service with the longest record, where a trial made a second one. Raises CloudError."""
    names = [resource.name for resource in found.resources if resource.kind == "aws.service"]
    with door(ref.site, ref.region):
        return max((_of(ref, name, since, until) for name in names), key=lambda one: len(one.at), default=Series())


def _of(ref: SiteRef, service: str, since: datetime, until: datetime) -> Series:
    pages = clients().get("cloudwatch", ref.region).get_paginator("get_metric_data")
    asked = {"StartTime": since, "EndTime": until, "ScanBy": "TimestampAscending"}
    samples: dict[str, dict[datetime, float]] = {name: {} for name, *_ in _ASKED}
    for page in pages.paginate(MetricDataQueries=_queries(f"{ref.service}-{ref.site}", service), **asked):
        for result in page["MetricDataResults"]:
            samples[result["Id"]].update(zip(result["Timestamps"], result["Values"], strict=True))
    return joined(samples["cpu"], samples["memory"])


def _queries(cluster: str, service: str) -> Sequence[Mapping[str, Any]]:
    dimensions = [{"Name": "ClusterName", "Value": cluster}, {"Name": "ServiceName", "Value": service}]
    return [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions},
                "Period": STEP_SECONDS,
                "Stat": statistic,
            },
        }
        for name, metric, statistic in _ASKED
    ]
