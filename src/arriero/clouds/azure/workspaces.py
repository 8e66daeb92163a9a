"""A site's workspace of Log Analytics: read into a Resource, its key for groups that are made outside of a role, and
what it kept of the groups' lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from arriero.clouds.azure.connection import Arm, ByLogin, Found, pipeline
from arriero.plan.model import Resource, SiteRef, Value
from arriero.plan.wanted import azure_logs as wish
from arriero.secret import Secret

TYPE = "Microsoft.OperationalInsights/workspaces"
VERSION = "2022-10-01"
ASKED_AT = "https://api.loganalytics.io"
TABLE = "ContainerInstanceLog_CL"
PAGE_LINES = 50_000
_clients = ByLogin(lambda login: pipeline(login, ASKED_AT, f"{ASKED_AT}/.default"))


@dataclass(frozen=True, slots=True)
class Kept:
    """One line of a container."""

    at: datetime
    target: str
    container: str
    text: str


def read(arm: Arm, ref: SiteRef) -> Found | None:
    """What Azure tells of the workspace; None where there is none."""
    return arm.get(_path(ref), VERSION)


def as_resource(item: Found) -> Resource:
    properties = item["properties"]
    values: Mapping[str, Value] = {
        "location": str(item["location"]).lower(),
        "retention_days": properties.get("retentionInDays"),
        "sku": (properties.get("sku") or {}).get("name"),
    }
    tags = {key: str(value) for key, value in (item.get("tags") or {}).items()}
    return Resource(wish.KIND, item["name"], values, item["id"], tags)


def id_of(item: Found) -> str:
    """By which groups and questions name a workspace; it is no secret."""
    return str(item["properties"].get("customerId", ""))


def id_in(properties: Mapping[str, Any]) -> str:
    """The workspace that a container group writes to; empty where it has none."""
    return str(((properties.get("diagnostics") or {}).get("logAnalytics") or {}).get("workspaceId", ""))


def key(arm: Arm, ref: SiteRef) -> Secret:
    """One of the workspace's keys."""
    return Secret(str(arm.post(f"{_path(ref)}/sharedKeys", VERSION)["primarySharedKey"]))


def lines(ref: SiteRef, workspace: str, since: datetime, page_lines: int = PAGE_LINES) -> Iterator[Kept]:
    """What came to the workspace of that id since then, oldest first; asked for in pages of so many lines."""
    while page := [
        Kept(datetime.fromisoformat(at), group, container, text)
        for at, group, container, text in _rows(workspace, question(ref, since, page_lines))
    ]:
        if len(page) < page_lines:
            yield from page
            return
        # More of the last moment may be to come, so the next page begins with it; unless it fills a page alone.
        last = page[-1].at
        before = [line for line in page if line.at < last]
        yield from before or page
        since = last if before else last + timedelta(microseconds=1)


def question(ref: SiteRef, since: datetime, most: int = PAGE_LINES) -> str:
    """In KQL, for so many lines at most."""
    return "\n| ".join(
        (
            TABLE,
            f"where TimeGenerated >= datetime({since.astimezone(UTC).isoformat().replace('+00:00', 'Z')})",
            f'where ContainerGroup_s startswith "{ref.service}-{ref.site}-r"',
            "order by TimeGenerated asc",
            f"take {most}",
            "project TimeGenerated, ContainerGroup_s, ContainerName_s, Message",
        )
    )


def _rows(workspace: str, text: str) -> list[list[str]]:
    """A workspace has the table only once a line has come."""
    from azure.core.rest import HttpRequest

    url = f"{ASKED_AT}/v1/workspaces/{workspace}/query"
    response = _clients.of_environment().send_request(HttpRequest("POST", url, json={"query": text}))
    if response.status_code == 400 and f"named '{TABLE}'" in response.text():
        return []
    response.raise_for_status()
    rows: list[list[str]] = response.json()["tables"][0]["rows"]
    return rows


def _path(ref: SiteRef) -> str:
    name = f"{ref.service}-{ref.site}"
    return f"/resourceGroups/{name}/providers/{TYPE}/{name}"
