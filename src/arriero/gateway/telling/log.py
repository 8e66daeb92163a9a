"""The gateway's log: one JSON object a line, written by a thread so that a slow disk or reader stops no stream.

The queue is bounded by LINES_LIMIT: past it access lines are dropped and counted.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections import deque
from pathlib import Path
from typing import TextIO

LINES_LIMIT = 20_000
FLUSH_SECONDS = 0.2
# Text of megabytes, put together five times a second, would stay with the process as memory that is free in pieces.
LINES_AT_ONCE = 100


class Log:
    """`target`: a file's path, `-` for stdout, or empty for nowhere. Lines are written every 0.2 s and at the end."""

    def __init__(self, target: str) -> None:
        self.dropped_lines = 0
        self._lines: deque[str] = deque()
        self._file = _opened(target)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        if len(self._lines) >= LINES_LIMIT:
            self.dropped_lines += 1
        elif self._file is not None:
            self._lines.append(line)

    def tell(self, event: str, at: str, **fields: object) -> None:
        """Something other than a request happened."""
        self.write(json.dumps({"at": at, "event": event, **fields}))

    def close(self) -> None:
        """Writes what is left, for at most a second."""
        self._ended.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._ended.wait(FLUSH_SECONDS):
            self._flush()
        self._flush()
        if self._file is not None and self._file is not sys.stdout:
            with contextlib.suppress(OSError):
                self._file.close()

    def _flush(self) -> None:
        left = len(self._lines)
        while left and self._file is not None:
            lines = [self._lines.popleft() for _ in range(min(left, LINES_AT_ONCE))]
            left -= len(lines)
            try:
                self._file.write("\n".join(lines) + "\n")
                self._file.flush()
            except OSError:
                self.dropped_lines += len(lines)


def _opened(target: str) -> TextIO | None:
    if not target:
        return None
    return sys.stdout if target == "-" else Path(target).open("a", encoding="utf-8")
