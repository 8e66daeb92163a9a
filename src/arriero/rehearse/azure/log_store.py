"""The emulated Log Analytics: what container groups wrote, kept by workspace, and asked for at api.loganalytics.io.

A group's lines come here only if it was told a workspace that is there, with one of its keys: so a wrong key is found
out by missing lines, as on Azure. They can be asked for some time after they were written; how long is the stage's
latency. Kept in a file a workspace, which outlives the groups and goes with the workspace.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from arriero.plan.model import SERVICE_TAG, SITE_TAG
from arriero.rehearse.azure import accounts, log_query
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request
from arriero.rehearse.azure.ids import ResourceId, type_of
from arriero.rehearse.azure.log_query import Row
from arriero.rehearse.azure.runs import ContainerRun, GroupRun
from arriero.rehearse.azure.types import CONTAINER_GROUPS
from arriero.rehearse.azure.world import World

HOST = "api.loganalytics.io"
AUDIENCE = f"https://{HOST}"
TYPE = "microsoft.operationalinsights/workspaces"
_LONGEST_READ_BYTES = 256 * 1024


@dataclass
class _Source:
    """A container's log on its way; `offset` is what was taken so far."""

    file: Path
    workspace: str
    columns: Document
    offset: int = 0


@dataclass
class LogStore:
    """Callers hold the state's lock."""

    folder: Path
    world: World
    _sources: dict[tuple[str, str], _Source] = field(default_factory=dict)
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.world.now

    def collect(self) -> None:
        """What has come to the logs of all groups since the last time."""
        for key, run in self.world.state.runs.items():
            if type_of(key) == CONTAINER_GROUPS:
                self._of(self.world.state.resources[key], run)
        for source in self._sources.values():
            self._take(source)

    def leave(self, target: str) -> None:
        """The last lines of a group that is gone, before its files go, too."""
        for key in [key for key in self._sources if key[0] == target]:
            self._take(self._sources.pop(key), final=True)

    def asked(self, request: Request) -> Document | None:
        """The workspace that a question is put to; None where there is none."""
        return self._find(_asked(request))

    def answer(self, request: Request) -> Answer:
        """A question to a workspace. Raises ArmError for one that is not there, or is not understood."""
        workspace = _asked(request)
        if not workspace:
            raise ArmError(404, "PathNotFoundError", "The requested path does not exist")
        if self.asked(request) is None:
            raise ArmError(404, "WorkspaceNotFoundError", "The workspace could not be found")
        return Answer(200, log_query.answer(str(request.document().get("query", "")), self._rows(workspace)))

    def lines(self, scope: str) -> list[Row]:
        """Those that have arrived at the workspace of that path; none where there is none."""
        found = self.world.find(scope)
        return self._rows(str(found["properties"]["customerId"])) if found and type_of(found["id"]) == TYPE else []

    def _of(self, group: Document, run: GroupRun) -> None:
        told: Document = (group["properties"].get("diagnostics") or {}).get("logAnalytics") or {}
        workspace_id = str(told.get("workspaceId", ""))
        workspace = self._find(workspace_id) if told else None
        if workspace is None or not _is_key(workspace, str(told.get("workspaceKey", ""))):
            return
        for record in run.containers:
            key = (run.target, record.name)
            # What was written before the stage went and came back was taken then.
            is_of_now = record.started_at is not None and record.started_at >= self._begun
            if record.log and is_of_now and key not in self._sources:
                columns = _columns(group, record)
                self._sources[key] = _Source(Path(record.log), workspace_id, columns, record.log_start)

    def _take(self, source: _Source, *, final: bool = False) -> None:
        if not source.file.exists():
            return
        with source.file.open("rb") as text:
            text.seek(source.offset)
            fresh = text.read(_LONGEST_READ_BYTES)
        if not final:
            fresh = fresh[: fresh.rfind(b"\n") + 1]
        source.offset += len(fresh)
        now = self.world.now
        row = {"at": now, "arrives": now + self.world.latency.seconds("logs.ingest"), **source.columns}
        lines = [json.dumps({**row, "Message": line}) for line in fresh.decode(errors="replace").splitlines() if line]
        if lines:
            with self._file(source.workspace).open("a") as kept:
                kept.write("".join(f"{line}\n" for line in lines))

    def _rows(self, workspace: str) -> list[Row]:
        """Those that have arrived, planted ones among them."""
        file, now = self._file(workspace), self.world.now
        told = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        kept = [Row(datetime.fromtimestamp(row.pop("at"), UTC), row) for row in told if row.pop("arrives") <= now]
        return [*kept, *self._planted(workspace)]

    def _planted(self, workspace: str) -> list[Row]:
        tags = (self._find(workspace) or {}).get("tags") or {}
        lines = self.world.figures.lines(f"{tags.get(SERVICE_TAG, '')}-{tags.get(SITE_TAG, '')}")
        return [
            Row(line.at, {"ContainerGroup_s": line.group, "ContainerName_s": line.container, "Message": line.text})
            for line in lines
            if line.at <= self.world.today
        ]

    def _file(self, workspace: str) -> Path:
        self.folder.mkdir(exist_ok=True, mode=0o700)
        return self.folder / f"{workspace}.jsonl"

    def _find(self, workspace: str) -> Document | None:
        """By its id; None where there is none of it."""
        for key, found in self.world.state.resources.items():
            if type_of(key) == TYPE and found["properties"].get("customerId") == workspace:
                return found
        return None


def _asked(request: Request) -> str:
    """The id of the workspace in `POST /v1/workspaces/<id>/query`; empty for any other request."""
    match request.method, request.path.strip("/").split("/"):
        case "POST", ["v1", "workspaces", workspace, "query"]:
            return workspace
    return ""


def _is_key(workspace: Document, told: str) -> bool:
    found = ResourceId.parse(workspace["id"])
    return found is not None and any(
        hmac.compare_digest(accounts.key(found, which), told) for which in ("primary", "secondary")
    )


def _columns(group: Document, record: ContainerRun) -> Document:
    image = next(one["properties"]["image"] for one in group["properties"]["containers"] if one["name"] == record.name)
    return {
        "ContainerGroup_s": group["name"],
        "ContainerName_s": record.name,
        "ContainerImage_s": image,
        "Location_s": group["location"],
        "OSType_s": group["properties"]["osType"],
    }
