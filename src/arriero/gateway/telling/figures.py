"""Named rows of numbers in a block of memory, which other processes may read while one process writes.

So the figures of a worker that was killed are still there: they lie in memory that outlives it, and the worker that
takes its place counts on in the same rows. One writer a block; a number is written in one machine instruction, and a
row becomes visible with the last word that is written of it.

Layout, in 8-byte floating point words: `used`, then rows of `words of the name`, `width`, the name (UTF-8, padded with
zeros), the numbers.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator, Sequence

# Enough for 200 models, 200 keys and 50 sites in every family; untouched pages cost nothing.
BLOCK_BYTES = 4_194_304
_WORD = 8
_ROWS = [struct.Struct(f"{width}d") for width in range(9)]


class Figures:
    """`numbers` is written by index: `figures.numbers[figures.row("requests", 1)] += 1`."""

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        self._memory = memory or mmap.mmap(-1, BLOCK_BYTES)
        self.numbers = memoryview(self._memory).cast("d")
        self._known = self.numbers[0]
        self._rows = {name: start for name, start, _ in self._entries()}

    def row(self, name: str, width: int) -> int | None:
        """Where the numbers of this row begin; made of zeros when it is new. None when the block is full."""
        start = self._rows.get(name)
        return self._add(name, width) if start is None else start

    def find(self, name: str) -> int | None:
        """Where the numbers of a row of another process's block begin; None when it has none of this name."""
        start = self._rows.get(name)
        if start is None and self.numbers[0] != self._known:
            self._known = self.numbers[0]
            self._rows = {known: at for known, at, _ in self._entries()}
            start = self._rows.get(name)
        return start

    def write(self, start: int, numbers: Sequence[float]) -> None:
        """Sets these (eight at most) from there on, each in one piece."""
        _ROWS[len(numbers)].pack_into(self._memory, start * _WORD, *numbers)

    def rows(self) -> Iterator[tuple[str, list[float]]]:
        """Every row as it is now."""
        for name, start, width in self._entries():
            yield name, list(self.numbers[start : start + width])

    def clear(self, is_cleared: Iterable[str]) -> None:
        """Sets the rows whose names begin with one of these to zero."""
        starts = tuple(is_cleared)
        for name, start, width in self._entries():
            if name.startswith(starts):
                for index in range(start, start + width):
                    self.numbers[index] = 0.0

    def _entries(self) -> Iterator[tuple[str, int, int]]:
        at, end = 1, int(self.numbers[0]) + 1
        while at < end:
            words, width = int(self.numbers[at]), int(self.numbers[at + 1])
            name_at = (at + 2) * _WORD
            name = bytes(self._memory[name_at : name_at + words * _WORD]).rstrip(b"\0").decode()
            at += 2 + words + width
            yield name, at - width, width

    def _add(self, name: str, width: int) -> int | None:
        text = name.encode()
        words = -(-len(text) // _WORD)
        used = int(self.numbers[0])
        at, size = used + 1, 2 + words + width
        if (at + size) * _WORD > len(self._memory):
            return None
        struct.pack_into(f"dd{words * _WORD}s", self._memory, at * _WORD, words, width, text)
        self.numbers[0] = used + size
        start = self._rows[name] = at + size - width
        return start


def add_up(blocks: Iterable[Figures]) -> dict[str, list[float]]:
    """Rows of the same name, added number by number."""
    total: dict[str, list[float]] = {}
    for block in blocks:
        for name, numbers in block.rows():
            known = total.get(name)
            # Another version of this program may count in other buckets.
            is_like = known is not None and len(known) == len(numbers)
            total[name] = [a + b for a, b in zip(known or (), numbers, strict=True)] if is_like else numbers
    return total
