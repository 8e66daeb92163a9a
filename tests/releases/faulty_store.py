"""A store in memory that fails on purpose: in order, each call meets the next fault of its script, or none."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from arriero.releases.store import Conflict, Found, StoreError

Fault = Literal["none", "fails", "lost answer", "false conflict", "stale", "full", "down"]
FAULTS: tuple[Fault, ...] = ("fails", "lost answer", "false conflict", "stale", "full", "down")


@dataclass
class FaultyStore:
    """`script` is used up a call at a time; "full" and "down" last from then on, until `mend`.

    fails: nothing is done, an error is answered (5xx). lost answer: it is done, and an error is answered (a time-out
    after success). false conflict: it is done, and a conflict is answered. stale: a read answers what was there before
    the last write.
    """

    script: list[Fault] = field(default_factory=list)
    name: str = "aws"
    objects: dict[str, Found] = field(default_factory=dict)
    former: dict[str, Found | None] = field(default_factory=dict)
    calls: int = 0
    _lasting: Fault = "none"
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def mend(self) -> None:
        self.script, self._lasting = [], "none"

    def read(self, key: str) -> Found | None:
        with self._lock:
            if self._met() == "stale" and key in self.former:
                return self.former[key]
            return self.objects.get(key)

    def create(self, key: str, data: bytes) -> str:
        with self._lock:
            fault = self._met(writes=True)
            if key in self.objects:
                raise Conflict(key)
            return self._write(key, data, fault)

    def replace(self, key: str, data: bytes, tag: str) -> str:
        with self._lock:
            fault = self._met(writes=True)
            if key not in self.objects or self.objects[key].tag != tag:
                raise Conflict(key)
            return self._write(key, data, fault)

    def overwrite(self, key: str, data: bytes) -> None:
        with self._lock:
            self._write(key, data, self._met(writes=True))

    def names(self, prefix: str = "") -> Sequence[str]:
        with self._lock:
            self._met()
            return sorted(key for key in self.objects if key.startswith(prefix))

    def _met(self, writes: bool = False) -> Fault:
        self.calls += 1
        fault = self.script.pop(0) if self.script else "none"
        if fault in ("full", "down"):
            self._lasting = fault
        if fault == "fails" or self._lasting == "down" or (self._lasting == "full" and writes):
            raise StoreError("503 Slow Down")
        return fault

    def _write(self, key: str, data: bytes, fault: Fault) -> str:
        self._count += 1
        self.former[key] = self.objects.get(key)
        self.objects[key] = Found(data, str(self._count))
        if fault == "lost answer":
            raise StoreError("timed out")
        if fault == "false conflict":
            raise Conflict(key)
        return str(self._count)
