"""The lines that a site's containers wrote, from CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from arriero.clouds.aws.clients import clients
from arriero.clouds.aws.errors import door
from arriero.plan.model import LogLine, SiteRef


def read(ref: SiteRef, since: datetime) -> Sequence[LogLine]:
    """All lines since then, by time; none where the log group is not there. Raises CloudError."""
    logs = clients().get("logs", ref.region)
    wish = {"logGroupName": f"/arriero/{ref.service}/{ref.site}", "startTime": round(since.timestamp() * 1000)}
    with door(ref.site, ref.region):
        try:
            pages = logs.get_paginator("filter_log_events").paginate(**wish).build_full_result()["events"]
        except logs.exceptions.ResourceNotFoundException:
            return ()
    return [
        LogLine(
            datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
            ref.site,
            event["logStreamName"].rpartition("/")[2],
            event["message"].rstrip("\n"),
        )
        for event in pages
    ]
