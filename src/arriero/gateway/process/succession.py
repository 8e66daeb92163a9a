"""One process of the gateway makes room for the next: same sockets, same state, no connection lost in between.

In order: orders wait; the state is taken; the next process starts with the sockets, listens beside this one once it
knows its targets, and says so; then this one takes nothing more and ends with its last stream. If the next one does not
come up, this one goes on as if nothing had been.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from arriero.gateway.process.handover import Doors, Handed, in_memory, is_ready, start
from arriero.gateway.telling.lanes import Lanes


class Succession:
    """`state` gives what the next process begins with. `done` is called when it serves, `failed` when it does not."""

    def __init__(
        self,
        config: Path,
        doors: Doors,
        lanes: Lanes,
        state: Callable[[], Awaitable[Mapping[str, Any]]],
        done: Callable[[int], None],
        failed: Callable[[int | None], Awaitable[None]],
        workers: int = 0,
    ) -> None:
        self._config, self._doors, self._lanes = config, doors, lanes
        self._state, self._done, self._failed = state, done, failed
        self._workers = workers
        self._task: asyncio.Task[None] | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self) -> bool:
        """False when it has begun already."""
        if self._task is not None:
            return False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="hand over")
        return True

    async def _run(self) -> None:
        state = await self._state()
        # What keys have used is in the lanes, for both to see.
        with in_memory(json.dumps({**state, "usage": {}}).encode()) as descriptor:
            handed = Handed(
                listen=self._doors.numbers("listen"),
                control=self._doors.numbers("control"),
                state=descriptor,
                memory=self._lanes.memory,
                lock=self._lanes.lock,
                workers=self._workers,
            )
            self.process, told = start(self._config, handed)
        if await is_ready(told):
            self._done(self.process.pid)
            return
        self.process.terminate()
        code = await asyncio.to_thread(self.process.wait)
        self._task = self.process = None
        await self._failed(code)
