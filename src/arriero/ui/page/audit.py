"""Who did what from the page: a line an act before it begins and one when it is over, only ever added to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

SHOWN_BYTES = 65_536


class Audit:
    """The file `path`, mode 0600. Each line is on the disk before the act goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, who: str, act: str, fields: Mapping[str, Any], at: datetime) -> str:
        """Returns the act's id, which its end has, too. Raises OSError: what can't be written down is not done."""
        act_id = uuid4().hex[:12]
        self._add({"id": act_id, "at": at.isoformat(timespec="seconds"), "who": who, "act": act, **fields})
        return act_id

    def end(self, act_id: str, outcome: str, at: datetime) -> None:
        self._add({"id": act_id, "at": at.isoformat(timespec="seconds"), "outcome": outcome})

    def newest(self, count: int = 20) -> list[dict[str, Any]]:
        """The newest acts first, each with its `outcome` where it is over."""
        acts: dict[str, dict[str, Any]] = {}
        for line in self._tail():
            told = json.loads(line)
            if "act" in told:
                acts[told["id"]] = told
            elif told["id"] in acts:
                acts[told["id"]]["outcome"] = told["outcome"]
        return list(acts.values())[::-1][:count]

    def _tail(self) -> list[bytes]:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - SHOWN_BYTES))
                whole = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return []
        lines = whole.split(b"\n")
        return [line for line in (lines[1:] if size > SHOWN_BYTES else lines) if line]

    def _add(self, told: Mapping[str, Any]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, json.dumps({"schema": 1, **told}).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
