"""Files that may change while the gateway runs: keys and certificates. Looked at each second, and at SIGHUP.

Who runs: one task; reading is done in a thread, so that a slow disk stops no stream. A file that can't be used keeps
what was read before, and the problem is told once for each change of the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arriero.errors import ArrieroError

EVERY_SECONDS = 1.0
Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass
class Watched:
    """`read` raises ArrieroError for what can't be used; `take` gets what it returned, in the event loop's thread."""

    name: str
    paths: tuple[Path, ...]
    read: Callable[[], Any]
    take: Callable[[Any], None]
    stamp: Stamp = field(default=())

    def read_first(self) -> None:
        """Before the gateway serves: here a problem is raised, not told."""
        self.stamp = stamp_of(self.paths)
        self.take(self.read())


class Renewal:
    """`tell(event, **fields)` logs; `look_now` ends the wait of a second, and has everything read anew."""

    def __init__(self, watched: list[Watched], look_now: asyncio.Event, tell: Callable[..., None]) -> None:
        self._watched, self._tell = watched, tell
        self._look_now = look_now

    async def run(self) -> None:
        """Until cancelled."""
        while self._watched:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._look_now.wait()
            is_told = self._look_now.is_set()
            self._look_now.clear()
            for watched in self._watched:
                await self._look(watched, is_told)

    async def _look(self, watched: Watched, is_told: bool) -> None:
        stamp = await asyncio.to_thread(stamp_of, watched.paths)
        if stamp == watched.stamp and not is_told:
            return
        watched.stamp = stamp
        try:
            value = await asyncio.to_thread(watched.read)
        except ArrieroError as error:
            problems = [str(problem) for problem in error.problems]
            self._tell(f"{watched.name}.refused", problems=problems, remedy="the former ones stay in use")
        else:
            watched.take(value)
            self._tell(f"{watched.name}.renewed")


def stamp_of(paths: tuple[Path, ...]) -> Stamp:
    """Changes when a file does; None for one that is not there."""
    return tuple(map(_stamp, paths))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
