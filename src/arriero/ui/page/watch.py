"""The page's one look a second at the gateway, for all who look at the page: asked in a thread, shown in the loop.

Who runs: one task of the loop, and one thread at a time for the look. Where nobody looks at the page the gateway is
asked still, so that plots have no holes; the look costs it what a look of `arriero top` does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from arriero.errors import ArrieroError
from arriero.observe.glance import Glance
from arriero.ui.page.frame import Frame, Place, Plots, frame
from arriero.ui.page.runs import Runs

EVERY_SECONDS = 1.0


class Viewer(Protocol):
    """A browser that looks; `show` has to be quick."""

    def show(self, now: Moment) -> None: ...


class Moment:
    """What is known now, as JSON for the browser's parts: made once for all of them. Empty before the first look."""

    def __init__(self) -> None:
        self.fleet: Frame | None = None
        self.told = self.plots = self.run = ""


class Watch:
    """`look` asks the gateway and may take its time; it raises ArrieroError where that can't be done."""

    def __init__(
        self, look: Callable[[], Glance], places: Callable[[], Mapping[str, Place]], runs: Runs,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._look, self._places, self._runs, self._now = look, places, runs, now
        self._plots, self._viewers = Plots(), dict[int, Viewer]()
        self.moment = Moment()

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def add(self, viewer: Viewer) -> None:
        self._viewers[id(viewer)] = viewer
        viewer.show(self.moment)

    def remove(self, viewer: Viewer) -> None:
        self._viewers.pop(id(viewer), None)

    async def run(self) -> None:
        """Until it is cancelled. A look that takes longer than a second puts the next one off."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.step(began)
            except Exception as error:  # noqa: BLE001 - what nobody foresaw is told, and the next look is taken
                loop.call_exception_handler({"message": "a look of the page failed", "exception": error})
            await asyncio.sleep(max(0.05, began + EVERY_SECONDS - loop.time()))

    async def step(self, now: float) -> None:
        """One look, shown to all."""
        moment, found, problem = self.moment, None, ""
        run = await asyncio.to_thread(self._runs.look)
        try:
            found = await asyncio.to_thread(self._look)
        except ArrieroError as error:
            problem = f"{error.problems[0]}."
        if found is not None:
            moment.fleet = frame(found, self._places(), f"{self._now():%H:%M:%S}")
        self._plots.add(found.whole if found else None, now)
        moment.told = json.dumps({"fleet": moment.fleet, "problem": problem})
        moment.plots, moment.run = json.dumps(self._plots.as_json()), json.dumps(run)
        for viewer in list(self._viewers.values()):
            viewer.show(moment)
