"""What is remembered of one request when it is over: the access line, and what the metrics count. Never its text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Literal

Outcome = Literal["answered", "failed", "cut", "gone", "refused"]
MODEL_LENGTH_LIMIT = 128


class Record:
    """`outcome`: answered by a target or here; failed (5xx); cut in mid-stream; the client had gone; refused (4xx)."""

    __slots__ = (
        "attempts", "first_byte_seconds", "id", "method", "model", "outcome", "path", "received_bytes", "seconds",
        "sent_bytes", "site", "status", "target",
    )  # fmt: skip

    def __init__(self, request_id: str, method: str, path: str) -> None:
        self.id, self.method, self.path = request_id, method, path
        self.model = self.site = self.target = ""
        self.outcome: Outcome = "answered"
        self.status = self.attempts = self.received_bytes = self.sent_bytes = 0
        self.seconds = 0.0
        self.first_byte_seconds: float | None = None

    def judge(self, status: int) -> None:
        self.status = status
        self.outcome = "answered" if status < 400 else "refused" if status < 500 else "failed"

    def line(self, at: float) -> str:
        """One JSON object; `at` in seconds since 1970."""
        first = None if self.first_byte_seconds is None else round(self.first_byte_seconds * 1000, 1)
        return json.dumps(
            {
                "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
                "event": "request",
                "id": self.id,
                "method": self.method,
                "path": self.path,
                "model": self.model[:MODEL_LENGTH_LIMIT],
                "status": self.status,
                "outcome": self.outcome,
                "site": self.site,
                "target": self.target,
                "attempts": self.attempts,
                "first_byte_ms": first,
                "ms": round(self.seconds * 1000, 1),
                "received_bytes": self.received_bytes,
                "sent_bytes": self.sent_bytes,
            }
        )
