"""What a receiver is told of a line: few labels of few values, and the rest beside the text. Pure.

A label makes a stream of its own at Loki, so a request's id is none. Targets come and go: of those of the last hour
TARGETS_LIMIT have a value of their own, the others share one, and their name stands beside the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from arriero.observe.logs.entry import Entry

Level = Literal["debug", "info", "warn", "error", "unknown"]
Source = Literal["gateway", "sidecar", "ollama", "arriero"]

TARGETS_LIMIT = 200
FORGET = timedelta(hours=1)
OTHER = "other"
# Loki refuses lines above 256 KiB; none of ours is a tenth of this.
TEXT_LIMIT = 65_536
CUT = " ... (cut)"
# What a line takes besides its text, in memory and on its way.
BESIDE_BYTES = 300

_OUTCOMES: Mapping[str, Level] = {
    "answered": "info",
    "gone": "info",
    "refused": "warn",
    "failed": "error",
    "cut": "error",
}
_EVENTS: Mapping[str, Level] = {"worker.died": "error", "gateway.not_handed_over": "error"}
_WORDS: Mapping[str, Level] = {"DEBUG": "debug", "INFO": "info", "WARN": "warn", "ERROR": "error"}
_LEVEL = re.compile(r"\blevel=(DEBUG|INFO|WARN|ERROR)\b")
_STATUS = re.compile(r"\[GIN\] [^|]*\| *([1-5])\d\d *\|")


@dataclass(frozen=True, slots=True)
class Line:
    """`labels` are service, site, target, level and source; `beside` has request, trace and a target without a label,
    each only where it is known. `nanoseconds` since 1970.
    """

    at: datetime
    labels: Mapping[str, str]
    text: str
    beside: Mapping[str, str]

    @property
    def size(self) -> int:
        """About its bytes: what we and Ollama write is ASCII."""
        return len(self.text) + BESIDE_BYTES

    @property
    def nanoseconds(self) -> int:
        return round(self.at.timestamp() * 1_000_000) * 1_000


@dataclass
class Labels:
    """Makes lines of one service's entries; remembers which targets it named."""

    service: str
    _named: dict[str, datetime] = field(default_factory=dict)

    def line(self, entry: Entry) -> Line:
        source, level, data = _judged(entry)
        target = self._target(entry)
        labels = {"service": self.service, "site": entry.site, "target": target, "level": level, "source": source}
        beside = {"request": entry.request, "trace": str(data.get("trace") or "")}
        if target == OTHER:
            beside["target"] = entry.target
        text = entry.text if len(entry.text) <= TEXT_LIMIT else entry.text[: TEXT_LIMIT - len(CUT)] + CUT
        # What can't be written as UTF-8 would have the whole batch refused.
        told = {name: _clean(value) for name, value in beside.items() if value}
        return Line(entry.at, {name: _clean(value) for name, value in labels.items()}, _clean(text), told)

    def _target(self, entry: Entry) -> str:
        if not entry.target:
            return "-"
        if entry.target not in self._named and len(self._named) >= TARGETS_LIMIT:
            self._named = {name: at for name, at in self._named.items() if at > entry.at - FORGET}
            if len(self._named) >= TARGETS_LIMIT:
                return OTHER
        self._named[entry.target] = max(entry.at, self._named.get(entry.target, entry.at))
        return entry.target


def _judged(entry: Entry) -> tuple[Source, Level, Mapping[str, Any]]:
    if entry.text.startswith("! "):
        return "arriero", "error", {}
    if data := _object(entry.text):
        source: Source = "gateway" if entry.target == "gateway" else "sidecar"
        return source, _EVENTS.get(str(data["event"])) or _OUTCOMES.get(str(data.get("outcome")), "info"), data
    if match := _LEVEL.search(entry.text):
        return "ollama", _WORDS[match[1]], {}
    if match := _STATUS.match(entry.text):
        return "ollama", "error" if match[1] == "5" else "warn" if match[1] == "4" else "info", {}
    return "ollama", "unknown", {}


def _object(text: str) -> Mapping[str, Any]:
    """What a line of ours tells; empty for others."""
    if not text.startswith('{"at": "'):
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) and "event" in data else {}


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
