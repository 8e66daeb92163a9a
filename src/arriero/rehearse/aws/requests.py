"""The log of calls: a JSON line a call, appended to the stage's `requests.jsonl`."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from arriero.clock import Clock
from arriero.rehearse.aws.calls import Call
from arriero.rehearse.permissions import Need


class RequestLog:
    """Thread-safe; a line goes out in one write, so that two clouds may share the file."""

    def __init__(self, file: Path, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._descriptor: int | None = None

    def write(self, call: Call, status: int, needs: Iterable[Need] = ()) -> None:
        line = {
            "at": self._clock.now().isoformat(),
            "cloud": "aws",
            "region": call.region,
            "action": call.label,
            "name": call.name,
            "client": call.client,
            "writes": call.writes,
            "status": status,
            "needs": [need.as_json() for need in needs],
        }
        with self._lock:
            if self._descriptor is None:
                self._descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None
