"""Live progress of a deployment: a line a site on a terminal, a line a step elsewhere, or JSON events."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from arriero.events import Event

MARKS = {"waiting": "·", "running": "…", "done": "✓", "failed": "✗"}


@dataclass
class SiteLine:
    """What one site's line shows."""

    state: str = "waiting"
    task: str = ""
    before: str = ""
    held: str = ""
    started: float = 0.0
    ended: float = 0.0

    def elapsed_seconds(self, now: float) -> float:
        return (self.ended or now) - self.started if self.started else 0.0


@dataclass
class Progress:
    """A listener of events that shows them; a context manager, so that the terminal is always given back."""

    sites: Sequence[str]
    as_json: bool
    console: Console = field(default_factory=lambda: Console(stderr=True))
    _lines: dict[str, SiteLine] = field(default_factory=dict)
    _live: Live | None = None

    def __enter__(self) -> Self:
        self._lines = {site: SiteLine() for site in self.sites}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, event: Event) -> None:
        if self.as_json:
            print(json.dumps(event.as_json(), default=str), flush=True)
            return
        if event.kind == "deployment.started":
            self._start_live()
        line = self._note(event)
        if self._live:
            if line and event.kind.startswith("trial."):
                self._live.console.print(line, markup=False, highlight=False)
            self._live.update(self._table())
        elif line:
            print(line, file=sys.stderr, flush=True)

    def _start_live(self) -> None:
        if self.console.is_terminal and self._live is None:
            self._live = Live(self._table(), console=self.console, refresh_per_second=4, get_renderable=self._table)
            self._live.start()

    def _note(self, event: Event) -> str:
        """Takes the event into its site's line; returns the text for a log, empty where there is nothing to say.

        A task's text is held back until the site's next event, because only then it is known not to be skipped.
        """
        line, now = self._lines.setdefault(event.site, SiteLine()), time.monotonic()
        line.started = line.started or now
        if event.kind == "step.skipped":
            line.task, line.held = line.before, ""
            return ""
        line.before, line.task = line.task, str(event.fields.get("task", line.task))
        said, line.held = line.held, ""
        head = f"{event.site or 'gateway':<12} {line.elapsed_seconds(now):5.1f}s"
        if event.kind in ("step.started", "step.progress"):
            line.state, line.ended, line.held = "running", 0.0, f"{head}  {line.task}"
            return said if line.held != said else ""
        if event.kind == "site.failed" and line.state == "failed":
            return said
        if event.kind in ("site.finished", "site.failed", "step.failed"):
            line.state, line.ended = ("done" if event.kind == "site.finished" else "failed"), now
            return "\n".join(filter(None, [said, f"{head}  {line.state}"]))
        text = str(event.fields.get("text", ""))
        return "\n".join(filter(None, [said, f"{head}  {text}" if text else ""]))

    def _table(self) -> Table:
        table, now = Table.grid(padding=(0, 2)), time.monotonic()
        for site, line in self._lines.items():
            if site:
                table.add_row(MARKS[line.state], site, f"{line.elapsed_seconds(now):6.1f}s", line.task)
        return table
