"""Cancels a piece of work at its first await, then at its second, and so on to its last."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AWAITS_LIMIT = 500


class _Counted:
    """The same work, awaited step by step; `reached` is called each time it waits."""

    def __init__(self, work: Coroutine[Any, None, Any], reached: Callable[[], None]) -> None:
        self._work, self._reached = work, reached

    def __await__(self) -> Generator[Any, None, Any]:
        thrown: asyncio.CancelledError | None = None
        while True:
            try:
                waited_for = self._work.send(None) if thrown is None else self._work.throw(thrown)
            except StopIteration as end:
                return end.value
            self._reached()
            thrown = None
            try:
                yield waited_for
            except asyncio.CancelledError as error:
                thrown = error


@dataclass
class Cancelled:
    """How one try ended: `awaits` were reached, and the work was cancelled at the last of them, or came to its end."""

    awaits: int
    came_to_its_end: bool


async def cancelled_at(number: int, work: Coroutine[Any, None, Any]) -> Cancelled:
    """Runs the work as a task, and cancels that while it waits for the `number`th time (from 1)."""
    awaits = 0

    def reached() -> None:
        nonlocal awaits
        awaits += 1
        if awaits == number:
            asyncio.get_running_loop().call_soon(task.cancel)

    async def run() -> None:
        await _Counted(work, reached)

    task = asyncio.get_running_loop().create_task(run())
    try:
        async with asyncio.timeout(10):
            await task
    except asyncio.CancelledError:
        return Cancelled(awaits, False)
    return Cancelled(awaits, True)


async def at_every_await(story: Callable[[int], Awaitable[Cancelled]], at_most: int = AWAITS_LIMIT) -> int:
    """Plays the story with the work cancelled at each await in turn, until it comes to its end or `at_most` were
    tried; returns how many there were. What is left over of a try fails it: a task, or a file or socket.
    """
    for number in range(1, at_most + 1):
        tasks, files = asyncio.all_tasks(), open_files()
        told = await story(number)
        await _nothing_more(asyncio.all_tasks, tasks, f"await {number} leaves a task")
        await _nothing_more(open_files, files, f"await {number} leaves a file or socket")
        if told.came_to_its_end:
            return number - 1
    return at_most


def open_files() -> set[str]:
    """What stands behind each descriptor, but for the folder that is read for it."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return found


async def _nothing_more(found: Callable[[], set[Any]], before: set[Any], otherwise: str) -> None:
    for _ in range(400):
        if found() <= before:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"{otherwise}: {found() - before}")
