"""Loopback addresses: each stage holds one free block 127.N.*.*, each of its targets one address in it.

The block is claimed by holding a listening socket on 127.N.0.1, so that two stages never share one and a claim ends
with its process. N and the targets' numbers are remembered in the stage's folder: addresses stay over restarts.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from arriero.errors import Problem, Refused

_CLAIM_PORT = 11433
_FIRST_BLOCK, _LAST_BLOCK = 16, 250  # below: 127.0.* is everybody's, 127.0.1.* our local targets'
_HOSTS = 254 * 254


class Addresses:
    """Gives addresses out; thread-safe. Keeps `addresses.json` in the stage's folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "addresses.json"
        remembered = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._numbers: dict[str, int] = remembered.get("targets", {})
        self._next: int = remembered.get("next", 0)
        self._lock = threading.Lock()
        self._block, self._claim = _claim_block(remembered.get("block"), str(folder.resolve()))
        self._save()

    @property
    def number(self) -> int:
        """The N of the block."""
        return self._block

    @property
    def block(self) -> str:
        return f"127.{self._block}.0.0/16"

    @property
    def first(self) -> str:
        """The stage's own."""
        return f"127.{self._block}.0.1"

    def of(self, target: str) -> str:
        with self._lock:
            if target not in self._numbers:
                self._numbers[target] = self._free_number()
                self._save()
            number = self._numbers[target]
        return f"127.{self._block}.{1 + number // 254}.{1 + number % 254}"

    def release(self, target: str) -> None:
        with self._lock:
            if self._numbers.pop(target, None) is not None:
                self._save()

    def close(self) -> None:
        self._claim.close()

    def _free_number(self) -> int:
        """The next one never used, so that a late client of a dead target does not reach its successor."""
        used = set(self._numbers.values())
        while self._next % _HOSTS in used:
            self._next += 1
        number = self._next % _HOSTS
        self._next += 1
        return number

    def _save(self) -> None:
        text = json.dumps({"block": self._block, "next": self._next, "targets": self._numbers})
        fresh = self._file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self._file)


def _claim_block(remembered: int | None, folder: str) -> tuple[int, socket.socket]:
    for block in _candidates(remembered, folder):
        claim = socket.socket()
        with contextlib.suppress(OSError):
            claim.bind((f"127.{block}.0.1", _CLAIM_PORT))
            claim.listen(1)
            return block, claim
        claim.close()
    problem = f"no block 127.N.0.0/16 with port {_CLAIM_PORT} free was found"
    raise Refused(Problem(problem, "stop another stage, or the program that listens on that port on all addresses"))


def _candidates(remembered: int | None, folder: str) -> Iterator[int]:
    """The block of last time, then all, from a place that the folder's name gives: stages rarely meet."""
    if remembered is not None:
        yield remembered
    count = _LAST_BLOCK - _FIRST_BLOCK + 1
    first = zlib.crc32(folder.encode())
    for step in range(count):
        yield _FIRST_BLOCK + (first + step) % count
