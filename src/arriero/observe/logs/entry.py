"""One line of a log, wherever it came from, and how it is shown. Pure.

Gateways and sidecars write JSON objects with the moment (`at`), the request's id and, sidecars only, the process that
wrote it (`boot`) with a running number (`seq`). Other lines are Ollama's: they have the time that their store gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from arriero.plan.model import LogLine

# Nobody else's JSON decides when something was: a line's own time has to be near the one that its store gives.
NEAR = timedelta(days=1)
# A gateway's line about no site.
NO_SITE = "-"


@dataclass(frozen=True, slots=True)
class Entry:
    """`text` as it was written; `request` is the id of the request that it tells of, if that is known. `nth`: of lines
    that are alike in all else, which one (0, 1, ...) this is.
    """

    at: datetime
    site: str
    target: str
    text: str
    request: str = ""
    boot: str = ""
    seq: int = 0
    nth: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A line in its place among the others; `is_late`: later ones were shown before it."""

    entry: Entry
    is_late: bool = False

    def __str__(self) -> str:
        e = self.entry
        late = "(late) " if self.is_late else ""
        request = f"{e.request} " if e.request not in e.text else ""
        return f"{e.at:%H:%M:%S.%f}"[:-3] + f" {e.site} {e.target} {late}{request}{_words(e.text)}".rstrip()

    def as_json(self) -> Mapping[str, object]:
        e = self.entry
        told: dict[str, object] = {"schema": 1, "at": e.at.isoformat(), "site": e.site, "target": e.target}
        return {**told, "text": e.text, "request": e.request, "late": self.is_late}


def entry_of(line: LogLine, nth: int = 0) -> Entry:
    """What one of ours tells of itself counts more than what its store says of it."""
    found = sidecar_entry(line.site, line.target, line.text)
    if found is None or abs(found.at - line.at) > NEAR:
        return Entry(line.at, line.site, line.target, line.text, nth=nth)
    return found if found.seq else replace(found, nth=nth)


def sidecar_entry(site: str, target: str, text: str) -> Entry | None:
    """A line that this target's sidecar wrote; None if it is none."""
    data = _ours(text)
    at = _moment(data.get("at"))
    if at is None:
        return None
    boot, seq = data.get("boot"), data.get("seq")
    if not (isinstance(boot, str) and isinstance(seq, int) and seq > 0):
        boot, seq = "", 0
    return Entry(at, site, target, text, str(data.get("id", "")), boot, seq)


def gateway_entry(text: str) -> Entry | None:
    """A line of a gateway's own log, at the site and in the name of the gateway; None if it is none."""
    data = _ours(text)
    at = _moment(data.get("at"))
    if at is None:
        return None
    return Entry(at, str(data.get("site") or NO_SITE), "gateway", text, str(data.get("id", "")))


def _ours(text: str) -> Mapping[str, Any]:
    """The object that a line is, empty if it is none of ours."""
    if not (text.startswith('{"at": "') and '"event": ' in text):
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _words(text: str) -> str:
    """A request in one short line; whatever else, as it was written."""
    data = _ours(text)
    if data.get("event") not in ("request", "sidecar.request"):
        return text
    tried = f", {data['attempts']} attempts" if data.get("attempts", 1) not in (0, 1) else ""
    words = (data.get("id"), data.get("method"), data.get("path"), data.get("model"), data.get("status"))
    said = " ".join(str(word) for word in words if word)
    return f"{said} {data.get('outcome', '')} in {data.get('ms', 0):g} ms{tried}"
