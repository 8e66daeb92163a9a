"""The lines that this machine's servers wrote: their log files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from arriero.clouds.local.state import read_servers, site_folder
from arriero.plan.model import LogLine, SiteRef

# Ollama's own lines, those of its web framework, and a sidecar's.
_TIMES = (
    (re.compile(r"time=(\S+) "), "%Y-%m-%dT%H:%M:%S.%f%z"),
    (re.compile(r"\[GIN\] (\d{4}/\d\d/\d\d - \d\d:\d\d:\d\d) "), "%Y/%m/%d - %H:%M:%S"),
    (re.compile(r'\{"at": "([^"]+)"'), "%Y-%m-%dT%H:%M:%S.%f%z"),
)


def read(ref: SiteRef, since: datetime) -> Sequence[LogLine]:
    """All lines since then. A line without a time of its own has that of the line before it."""
    found = []
    for server in read_servers(site_folder(ref.service, ref.site)):
        log = Path(server.log)
        written = datetime.fromtimestamp(log.stat().st_mtime, UTC) if log.exists() else None
        if written and written >= since:
            lines = timed(log.read_text(errors="replace").splitlines(), written)
            found += [LogLine(at, ref.site, server.name, text) for at, text in lines if at >= since]
    return found


def timed(texts: Sequence[str], written: datetime) -> list[tuple[datetime, str]]:
    """Each line with its moment; those before the first one that tells a time have that of it, else `written`."""
    moments = [_moment(text) for text in texts]
    at = next((moment for moment in moments if moment is not None), written)
    found = []
    for moment, text in zip(moments, texts, strict=True):
        at = moment or at
        found.append((at, text))
    return found


def _moment(text: str) -> datetime | None:
    for pattern, form in _TIMES:
        match = pattern.match(text)
        if match is None:
            continue
        try:
            return datetime.strptime(match.group(1), form).astimezone(UTC)
        except ValueError:
            return None
    return None
