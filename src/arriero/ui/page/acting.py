"""What was ordered from the page: each act goes on whoever looks, and is written down before and after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from arriero.errors import ArrieroError, Problem
from arriero.ui.page.audit import Audit

# Does it, and says how it ended; raises ArrieroError where it failed.
Work = Callable[[], Awaitable[str]]


class Acts:
    """`count` changes when there is something new to show."""

    def __init__(self, audit: Audit, now: Callable[[], datetime]) -> None:
        self._audit, self._now = audit, now
        self._tasks: set[asyncio.Task[None]] = set()
        self.count = 0

    def start(self, who: str, act: str, fields: Mapping[str, Any], work: Work) -> None:
        """Raises ArrieroError where it can't be written down: then it is not done."""
        try:
            act_id = self._audit.begin(who, act, fields, self._now())
        except OSError as error:
            what = f"it was not done, because it can't be written down: {error.strerror}"
            raise ArrieroError(Problem(what, "make room, or let its owner write there", "audit")) from None
        self.count += 1
        task = asyncio.create_task(self._run(act_id, work), name=f"act {act}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def newest(self) -> list[dict[str, Any]]:
        return self._audit.newest()

    async def _run(self, act_id: str, work: Work) -> None:
        try:
            outcome = await work()
        except ArrieroError as error:
            outcome = f"failed: {'; '.join(map(str, error.problems))}"
        except asyncio.CancelledError:
            self._audit.end(act_id, "the page ended first; a deployment goes on by itself", self._now())
            raise
        self._audit.end(act_id, outcome, self._now())
        self.count += 1
