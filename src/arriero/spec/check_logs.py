"""What the clouds' stores of logs can't keep so long, or so short."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.catalog import catalog
from arriero.errors import Problem
from arriero.spec.model import Spec

KEY = "logs.retention_days"


def log_problems(spec: Spec) -> Iterator[Problem]:
    """CloudWatch knows certain numbers of days; a workspace of Log Analytics a range, and Azure is its only cloud."""
    clouds, days = {site.cloud for site in spec.sites.values()}, spec.logs.retention_days
    if "aws" in clouds and days not in (known := catalog.log_retention_days()):
        nearest = min(known, key=lambda one: abs(one - days))
        yield Problem(f"CloudWatch can't keep logs for {days} days", f"use {nearest}", KEY)
    if not spec.logs.to_workspace:
        return
    if "azure" not in clouds:
        yield Problem("no site is in Azure, which alone has workspaces", "remove the line", "logs.to_workspace")
        return
    least, most = catalog.workspace_retention_days()
    if not least <= days <= most:
        nearest = least if days < least else most
        yield Problem(f"Log Analytics keeps logs for {least} to {most} days, not {days}", f"use {nearest}", KEY)
