"""What containers print, sent to CloudWatch Logs line by line as the awslogs driver does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.core.utils import unix_time_millis
from moto.logs.models import logs_backends

_LONGEST_READ_BYTES = 256 * 1024


@dataclass(slots=True)
class Shipment:
    """The log of one container on its way to one stream; `offset` is what was sent so far."""

    file: Path
    account: str
    region: str
    group: str
    stream: str
    offset: int = 0

    def send(self, *, final: bool = False) -> bool:
        """Sends the whole lines that came in since; at the end also the last half one. True when something went."""
        if not self.file.exists() or self.file.stat().st_size == self.offset:
            return False
        with self.file.open("rb") as text:
            text.seek(self.offset)
            fresh = text.read(_LONGEST_READ_BYTES)
        if not final:
            fresh = fresh[: fresh.rfind(b"\n") + 1]
        group = logs_backends[self.account][self.region].groups.get(self.group)
        if not fresh or group is None or self.stream not in group.streams:
            return False
        self.offset += len(fresh)
        now = int(unix_time_millis())
        lines = fresh.decode(errors="replace").splitlines()
        group.put_log_events(self.stream, [{"timestamp": now, "message": line} for line in lines if line])
        return True


def shipment(definition: Mapping[str, Any], task_id: str, file: Path, account: str, region: str) -> Shipment | None:
    """None when the container does not log to CloudWatch."""
    configuration = definition.get("logConfiguration") or {}
    if configuration.get("logDriver") != "awslogs":
        return None
    options = configuration.get("options") or {}
    stream = stream_name(definition, task_id)
    return Shipment(file, account, options.get("awslogs-region") or region, options.get("awslogs-group", ""), stream)


def open_stream(definition: Mapping[str, Any], task_id: str, account: str, region: str) -> str:
    """Makes the container's stream; returns its name when its group is missing, else nothing."""
    configuration = definition.get("logConfiguration") or {}
    if configuration.get("logDriver") != "awslogs":
        return ""
    options = configuration.get("options") or {}
    backend = logs_backends[account][options.get("awslogs-region") or region]
    name = options.get("awslogs-group", "")
    stream = stream_name(definition, task_id)
    if name not in backend.groups and options.get("awslogs-create-group") == "true":
        backend.create_log_group(name, {})
    if name not in backend.groups:
        return stream
    if stream not in backend.groups[name].streams:
        backend.create_log_stream(name, stream)
    return ""


def stream_name(definition: Mapping[str, Any], task_id: str) -> str:
    prefix = (definition["logConfiguration"].get("options") or {}).get("awslogs-stream-prefix", "")
    return f"{prefix}/{definition['name']}/{task_id}".lstrip("/")
