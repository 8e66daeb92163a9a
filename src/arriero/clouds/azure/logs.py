"""The lines that a site's containers wrote, from each container group's own log: a tail of at most 4 MB, no cursor."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from arriero.clouds.azure import facts, groups
from arriero.clouds.azure.connection import connect
from arriero.clouds.azure.errors import door
from arriero.plan.model import LogLine, SiteRef

CONTAINERS = ("ollama", "sidecar")
TAIL_LINES = "5000"


def read(ref: SiteRef, since: datetime) -> Sequence[LogLine]:
    """All lines since then that the groups still hold. Raises CloudError."""
    targets = [target.id for target in facts.read_targets(ref)]
    with door(ref.site, ref.region), ThreadPoolExecutor(max_workers=8, thread_name_prefix="logs") as pool:
        asked = [(group, container) for group in targets for container in CONTAINERS]
        return [line for part in pool.map(lambda one: _of(ref, *one), asked) for line in part if line.at >= since]


def _of(ref: SiteRef, group: str, container: str) -> list[LogLine]:
    """None where there is no such container."""
    path = f"/resourceGroups/{ref.service}-{ref.site}/providers/{groups.TYPE}/{group}/containers/{container}/logs"
    answer = connect().get(path, groups.VERSION, tail=TAIL_LINES, timestamps="true")
    return [line for text in str((answer or {}).get("content", "")).splitlines() if (line := _line(ref, group, text))]


def _line(ref: SiteRef, group: str, text: str) -> LogLine | None:
    """`2026-01-02T03:04:05.678Z words`, as ACI writes it with timestamps; a cut first line has none and is left out."""
    stamp, _, words = text.partition(" ")
    try:
        return LogLine(datetime.fromisoformat(stamp), ref.site, group, words)
    except ValueError:
        return None
