"""How far the newest deployment of this machine is, by the journal of its run; each look reads what came since."""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KEPT_LINES = 60
# Between two runs of one deployment, at most.
SAME_SECONDS = 30.0
_ENDS = {"site.finished": "done", "site.failed": "failed", "step.failed": "failed"}


@dataclass
class Progress:
    """One site's, as of its last event."""

    state: str = "running"
    step: str = ""
    task: str = ""
    began: str = ""
    at: str = ""
    message: str = ""


@dataclass
class Run:
    """One run's journal, as far as it was read."""

    name: str
    offset: int = 0
    sites: dict[str, Progress] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def take(self, told: dict[str, Any]) -> None:
        kind, name, at = str(told.get("event", "")), str(told.get("site", "")), str(told.get("at", ""))
        if kind in ("step.skipped", "") or not name:
            return
        site = self.sites.get(name)
        if site is None or (kind == "step.started" and site.state != "running"):
            site = self.sites[name] = Progress(began=at)
        site.at, site.state = at, _ENDS.get(kind, "failed" if site.state == "failed" else "running")
        site.step, site.task = str(told.get("step") or site.step), str(told.get("task") or site.task)
        site.message = str(told.get("message") or site.message)
        said = str(told.get("message") or told.get("text") or told.get("task") or "")
        self.lines = [*self.lines, f"{at[11:19]}  {name}  {_ENDS.get(kind, '')} {said}".rstrip()][-KEPT_LINES:]


class Runs:
    """The folder of a project's runs; not there before the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run: Run | None = None

    def look(self) -> dict[str, Any] | None:
        """The newest run, JSON-able; None where there never was one."""
        names = sorted(path.name for path in self._names())
        if not names:
            return None
        run = self._run if self._run and self._run.name <= names[-1] else Run(names[-1])
        self._read_on(run)
        # One may have ended, and another begun, since the last look: what the former said at last counts, too.
        for name in (name for name in names if name > run.name):
            run = _begun(name, run)
            self._read_on(run)
        self._run = run
        is_open = _is_held(self._folder / run.name / "lock")
        sites = [
            {"name": name, **vars(site), "seconds": _seconds(site)}
            | ({} if is_open or site.state != "running" else {"state": "left"})
            for name, site in run.sites.items()
        ]
        return {"name": run.name, "open": is_open, "sites": sites, "lines": list(run.lines)}

    def _names(self) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if (path / "journal.jsonl").exists()]
        except FileNotFoundError:
            return []

    def _read_on(self, run: Run) -> None:
        """Takes the lines that are whole; the rest waits."""
        try:
            with (self._folder / run.name / "journal.jsonl").open("rb") as file:
                file.seek(run.offset)
                whole = file.read().rpartition(b"\n")
        except FileNotFoundError:  # pruned in between
            return
        run.offset += len(whole[0]) + len(whole[1])
        for line in whole[0].splitlines():
            run.take(json.loads(line))


def _begun(name: str, before: Run) -> Run:
    """A deployment is several runs, one after the other: what was seen of those a moment ago stays."""
    last = max((site.at for site in before.sites.values()), default="")
    if not last:
        return Run(name)
    began = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    is_same = (began - datetime.fromisoformat(last)).total_seconds() < SAME_SECONDS
    return Run(name, sites=dict(before.sites), lines=list(before.lines)) if is_same else Run(name)


def _is_held(lock: Path) -> bool:
    """A deployment holds its folder as long as it lives, however it ends."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _seconds(site: Progress) -> float:
    try:
        passed = datetime.fromisoformat(site.at) - datetime.fromisoformat(site.began)
    except ValueError:
        return 0.0
    return round(passed.total_seconds(), 1)
