"""The lines that wait to be sent: never more than so many, and so many bytes. What is too much pushes out the oldest.

Oldest first, as a receiver that was away for long takes old lines no more, and what is new tells what is wrong. Two
threads meet here: one puts, which never waits, and one takes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from arriero.observe.shipping.line import Line

LINES_LIMIT, BYTES_LIMIT = 50_000, 32 * 2**20
BATCH_LINES, BATCH_BYTES = 1_000, 2**20


@dataclass
class Waiting:
    """`dropped` counts what was pushed out."""

    lines_limit: int = LINES_LIMIT
    bytes_limit: int = BYTES_LIMIT
    dropped: int = 0
    _lines: deque[Line] = field(default_factory=deque)
    _bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, line: Line) -> None:
        with self._lock:
            self._lines.append(line)
            self._bytes += line.size
            while len(self._lines) > self.lines_limit or self._bytes > self.bytes_limit:
                self._bytes -= self._lines.popleft().size
                self.dropped += 1

    def take(self) -> Sequence[Line]:
        """The oldest, a batch at most; they wait no more."""
        with self._lock:
            batch: list[Line] = []
            size = 0
            while self._lines and len(batch) < BATCH_LINES and size + self._lines[0].size <= BATCH_BYTES:
                size += self._lines[0].size
                batch.append(self._lines.popleft())
            self._bytes -= size
            return batch

    @property
    def is_batch(self) -> bool:
        """Whether a whole batch waits."""
        return len(self._lines) >= BATCH_LINES or self._bytes >= BATCH_BYTES
