"""The workspace of Log Analytics that keeps what a site's container groups wrote, where the spec asks for one. Pure.

A group's own log is a tail of 4 MB and goes with the group. Told of a workspace as it is made, Container Instances send
each line there, too, some minutes late: https://learn.microsoft.com/azure/container-instances/container-instances-log-analytics
"""

from __future__ import annotations

from collections.abc import Mapping

from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.spec.model import ResolvedSite

KIND = "azure.log_workspace"
SKU = "PerGB2018"
LOG_TYPE = "ContainerInstanceLogs"
# What of a group names its workspace.
MEMBER = "logs_to"
# Stand for what no plan holds: the role asks for both, and puts them in.
WORKSPACE_ID, WORKSPACE_KEY = "@WORKSPACE_ID@", "@WORKSPACE_KEY@"


def wanted(site: ResolvedSite, found: SiteFacts, base: str) -> tuple[Resource, ...]:
    """One that nobody asks for any more is kept while groups write there: what it holds is removed by who says so."""
    if not site.has_workspace:
        return tuple(resource for resource in found.resources if resource.kind == KIND)
    properties: dict[str, Value] = {
        "location": site.region,
        "retention_days": site.logs.retention_days,
        "sku": SKU,
    }
    return (Resource(KIND, base, properties, tags={SERVICE_TAG: site.service, SITE_TAG: site.name}),)


def around(site: ResolvedSite, base: str) -> Mapping[str, Value]:
    """What of a group is said only where its lines go to a workspace."""
    return {MEMBER: base} if site.has_workspace else {}


def notes(site: ResolvedSite, module: str) -> list[str]:
    tail = "Container Instances keeps the last 4 MB of a container's log"
    if not site.has_workspace:
        return [f"{tail}; logs.retention_days is not applied"]
    return [
        f"{tail}; its workspace keeps the lines for {site.logs.retention_days} days, from some minutes later on, which "
        f"azure_rm_containerinstance can't express: the groups are made by {module}"
    ]
