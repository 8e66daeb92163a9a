"""The lines that this machine's servers wrote: their log files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from arriero.clouds.local.state import read_servers, site_folder
from arriero.plan.model import LogLine, SiteRef


def read(ref: SiteRef, since: datetime) -> Sequence[LogLine]:
    """All lines of the files written to since then; a file's lines carry no time, so they get that of its last one."""
    found = []
    for server in read_servers(site_folder(ref.service, ref.site)):
        log = Path(server.log)
        written = datetime.fromtimestamp(log.stat().st_mtime, UTC) if log.exists() else None
        if written and written >= since:
            lines = log.read_text(errors="replace").splitlines()
            found += [LogLine(written, ref.site, server.name, text) for text in lines]
    return found
