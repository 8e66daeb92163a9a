"""Blocks of figures for processes that serve side by side: one each, owned as long as the process lives.

All of them map the same memory, so a process that starts (worker or successor) is seen by the others at once. Who owns
a block holds the kernel's lock on its byte in the lock file, and the kernel lets go of it however the process ends: the
next one that looks takes back what a dead process held, and counts what was lost with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator

from arriero.gateway.telling.figures import BLOCK_BYTES, Figures

COUNT = 64
# Rows of what is held now; a process that ended holds nothing. The rest are gauges.
HELD = ("slots{", "open{")
_STANDING = (
    "arriero_requests_open{", "arriero_requests_in_flight{", "arriero_connections{", "arriero_workers{",
    "arriero_targets{", "arriero_models_loaded_bytes{", "arriero_warming_requests{", "ollama_requests_queued{",
    "ollama_models_loaded{", "ollama_queue_capacity{", "arriero_release{", "arriero_cost_dollars_per_hour{",
    "arriero_key_limit_used_ratio{",
)  # fmt: skip
_MUTEX, _FIRST = 0, 1


class Lanes:
    """`memory` and `lock` are descriptors of the same lanes in every process; without, they are new."""

    def __init__(self, memory: int | None = None, lock: int | None = None) -> None:
        self.memory = _file("figures", COUNT * BLOCK_BYTES) if memory is None else memory
        self.lock = _file("lock", mmap.PAGESIZE) if lock is None else lock
        # How many were ever taken: when it changes, there is a new neighbour to look at.
        self._taken = memoryview(mmap.mmap(self.lock, mmap.PAGESIZE)).cast("Q")
        self._seen = 0
        self._blocks: dict[int, Figures] = {}
        self._others: tuple[Figures, ...] = ()
        self._depth = 0
        self.lost = 0
        self.number, self.own = self._take()

    @property
    def others(self) -> tuple[Figures, ...]:
        """The blocks that others use, or have used."""
        if self._taken[0] != self._seen:
            self._seen = self._taken[0]
            used = (self._block(number) for number in range(COUNT) if number != self.number)
            self._others = tuple(block for block in used if block.numbers[0])
        return self._others

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No neighbour takes anything meanwhile. May be entered again inside."""
        if not self._depth:
            fcntl.lockf(self.lock, fcntl.LOCK_EX, 1, _MUTEX)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                fcntl.lockf(self.lock, fcntl.LOCK_UN, 1, _MUTEX)

    def bury(self) -> int:
        """Takes back what processes held that have died; returns how many requests were open in them."""
        buried = 0
        for number, block in self._blocks.items():
            if number != self.number and block.numbers[0] and self._owns(number):
                buried += _empty(block)
                fcntl.lockf(self.lock, fcntl.LOCK_UN, 1, _FIRST + number)
        return buried

    def leave(self) -> None:
        """This process holds nothing any more; what it counted stays."""
        _empty(self.own)

    def _take(self) -> tuple[int, Figures]:
        for number in range(COUNT):
            if self._owns(number):
                block = self._block(number)
                self.lost = _empty(block)
                # In use from now on, even before its first row.
                block.row("owner", 1)
                with self.alone():
                    self._taken[0] += 1
                return number, block
        raise OSError(f"more than {COUNT} processes serve side by side")

    def _owns(self, number: int) -> bool:
        try:
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _FIRST + number)
        except OSError:
            return False
        return True

    def _block(self, number: int) -> Figures:
        if number not in self._blocks:
            self._blocks[number] = Figures(mmap.mmap(self.memory, BLOCK_BYTES, offset=number * BLOCK_BYTES))
        return self._blocks[number]


def _file(name: str, size: int) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.ftruncate(descriptor, size)
    return descriptor


def _empty(block: Figures) -> int:
    held = sum(int(numbers[0]) for name, numbers in block.rows() if name.startswith("slots{"))
    block.clear((*HELD, *_STANDING))
    return held
