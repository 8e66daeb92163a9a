"""What a sidecar tells of its Ollama, a JSON object a line: the one truth of slots in use and of residency. Pure.

A line without `resident` says that what is in memory has not changed since the line before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Models = Mapping[str, Mapping[str, Any]]

STATE_PATH = "/arriero/state"
CONTENT_TYPE = b"application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Told:
    """`running` counts open requests by canonical model name, `in_flight` all of them. `loading` are models on their
    way into memory. `disk` changes whenever the models on disk do. `resident` is as `/api/ps` describes it, by name.
    """

    slots: int
    in_flight: int
    running: Mapping[str, int]
    loading: frozenset[str] = frozenset()
    is_draining: bool = False
    answers: bool = True
    why: str = ""
    disk: str = ""
    resident: Models | None = None

    def line(self, with_resident: bool) -> bytes:
        whole = {
            "schema": 1,
            "slots": self.slots,
            "in_flight": self.in_flight,
            "running": dict(self.running),
            "loading": sorted(self.loading),
            "draining": self.is_draining,
            "answers": self.answers,
            "why": self.why,
            "disk": self.disk,
        }
        if with_resident:
            whole["resident"] = dict(self.resident or {})
        return json.dumps(whole, separators=(",", ":")).encode() + b"\n"


def read(line: bytes) -> Told:
    """Raises ValueError for anything that `Told.line` does not write."""
    try:
        data = json.loads(line)
        return Told(
            slots=max(1, int(data["slots"])),
            in_flight=int(data["in_flight"]),
            running={str(model): int(count) for model, count in data["running"].items()},
            loading=frozenset(map(str, data["loading"])),
            is_draining=bool(data["draining"]),
            answers=bool(data["answers"]),
            why=str(data["why"]),
            disk=str(data["disk"]),
            resident=_models(data["resident"]) if "resident" in data else None,
        )
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a line of a sidecar's state ({error!r})") from None


def _models(data: Any) -> Models:
    return {str(name): dict(model) for name, model in data.items()}
