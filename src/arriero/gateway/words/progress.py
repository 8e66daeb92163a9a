"""How far several servers are that do the same for one client: pull, create. Their lines become one stream. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

LINE_BYTES_LIMIT = 65_536


class Progress:
    """What one server said of its work so far: NDJSON status lines, or one JSON object.

    `line` is its last one; `error` its own sentence, once there is one; `is_done` once it says `success`.
    """

    __slots__ = ("_rest", "_steps", "error", "is_done", "line")

    def __init__(self) -> None:
        self._rest = b""
        self._steps: set[str] = set()
        self.line: Mapping[str, Any] | None = None
        self.error = ""
        self.is_done = False

    def read(self, data: bytes, *, is_last: bool) -> None:
        """More of the body; a line counts once it is whole."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if is_last or len(self._rest) > LINE_BYTES_LIMIT:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            if line.strip():
                self._read_line(line)

    @property
    def rank(self) -> tuple[int, float]:
        """Greater is further: servers go through the same steps in the same order, and count inside some of them."""
        line = self.line or {}
        total, completed = line.get("total"), line.get("completed", 0)
        is_counted = isinstance(total, int) and isinstance(completed, int) and total > 0
        return len(self._steps), completed / total if is_counted else 0.0

    def _read_line(self, text: bytes) -> None:
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict):
            self.error = self.error or "it answered something that is not Ollama's"
        elif "error" in line:
            self.error = self.error or str(line["error"])
        else:
            self.line = line
            status = str(line.get("status", ""))
            self._steps.add(status)
            self.is_done = status == "success"


def least(parts: Iterable[Progress]) -> Mapping[str, Any] | None:
    """The line of the server that has the longest way to go; None until each one at work has said something."""
    at_work = [part for part in parts if not part.error and not part.is_done]
    if not at_work:
        return None
    return min(at_work, key=lambda part: (part.line is not None, part.rank)).line
