"""Follows a play: what the callback plugin tells becomes our events while it happens, and an outcome at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arriero.clock import Clock
from arriero.deploy.failure import explain
from arriero.deploy.outcome import Ending, RunOutcome
from arriero.errors import Problem
from arriero.events import Event, Json, Listener

# What a role's own sentence has between what happened and what to do about it.
REMEDY_MARK = " | "


@dataclass
class Progress:
    """How far one site has come."""

    step: str = ""
    task: str = ""
    step_began: float = 0.0
    is_step_changed: bool = False
    is_changed: bool = False
    failure: Problem | None = None
    is_done: bool = False
    is_told: bool = False


class Watch:
    """Handed one record after the other, in order; tells the listener what each one means."""

    def __init__(self, sites: Sequence[str], listener: Listener, clock: Clock) -> None:
        self._listener, self._clock = listener, clock
        self._began = clock.monotonic()
        # What comes before the first step is timed from the beginning.
        self._sites = {site: Progress(step_began=self._began) for site in sites}
        self._complaints: list[str] = []

    def record(self, kind: str, data: Mapping[str, Any]) -> None:
        """Takes one record of the callback plugin, without its prefix: started, retried, ok, failed, done, ended…"""
        if kind == "ended":
            for site in set(data["done"]) & self._sites.keys():
                self._sites[site].is_done = True
        elif progress := self._sites.get(data.get("host", "")):
            self._task(data["host"], progress, kind, data)

    def complaint(self, line: str) -> None:
        """Takes a line that Ansible printed outside of any task; its errors say why it could not go on."""
        if "ERROR" in line[:12]:
            self._complaints.append(line)

    def end(self, ending: Ending, code: int) -> RunOutcome:
        """The outcome, after the last event of every site was told."""
        for site, progress in self._sites.items():
            if progress.is_done:
                self._finish(site, progress)
            else:
                self._tell("site.failed", site, progress)
        done = frozenset(site for site, progress in self._sites.items() if progress.is_done)
        return RunOutcome(
            ok=done,
            changed=frozenset(site for site in done if self._sites[site].is_changed),
            failed={s: p.failure or self._unfinished(s, p, ending) for s, p in self._sites.items() if not p.is_done},
            ending=ending if ending != "finished" or done or any(p.failure for p in self._sites.values()) else "broken",
            code=code,
            seconds=self._clock.monotonic() - self._began,
        )

    def _task(self, site: str, progress: Progress, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "started":
            self._start(site, progress, data)
        elif kind == "retried":
            attempt: dict[str, Json] = {"attempt": data["attempt"], "of": data["of"]}
            self._tell("step.progress", site, progress, attempt)
        elif kind == "skipped":
            self._tell("step.skipped", site, progress)
        elif kind == "done":
            self._finish(site, progress)
        elif kind == "ok" and data["changed"]:
            progress.is_changed = progress.is_step_changed = True
        elif kind == "failed":
            progress.task, progress.failure = data["task"], problem(site, data["task"], data["messages"])
            self._tell("step.failed", site, progress, {"message": str(progress.failure)})

    def _start(self, site: str, progress: Progress, data: Mapping[str, Any]) -> None:
        step, is_new = data["step"] or progress.step, data["step"] not in ("", progress.step)
        if is_new:
            self._finish_step(site, progress)
            progress.step_began, progress.is_step_changed = self._clock.monotonic(), False
        progress.step, progress.task = step, data["task"]
        self._tell("step.started" if is_new else "step.progress", site, progress)

    def _finish(self, site: str, progress: Progress) -> None:
        """Once a site: when its own last task is over, or at the play's end where no task marks that."""
        if not progress.is_told:
            progress.is_told = True
            self._finish_step(site, progress)
            self._tell("site.finished", site, progress)

    def _finish_step(self, site: str, progress: Progress) -> None:
        if progress.step:
            self._tell("step.finished", site, progress, {"changed": progress.is_step_changed})

    def _tell(self, kind: str, site: str, progress: Progress, more: Mapping[str, Json] | None = None) -> None:
        elapsed = self._clock.monotonic() - (progress.step_began if kind.startswith("step.") else self._began)
        fields: dict[str, Json] = {"step": progress.step, "task": progress.task, "elapsed_seconds": round(elapsed, 3)}
        self._listener(Event(kind, self._clock.now(), site, {**fields, **(more or {})}))

    def _unfinished(self, site: str, progress: Progress, ending: Ending) -> Problem:
        key, where = f"sites.{site}", f" at '{progress.task}'" if progress.task else ""
        if ending == "interrupted":
            return Problem(f"interrupted{where}", "run arriero up again: it goes on from what is there", key=key)
        if ending == "timed out":
            return Problem(f"not done in time{where}", "run arriero up again, or allow more time", key=key)
        if ending == "lease lost":
            return Problem(f"ended{where}, because the lease is lost", "see: arriero lock status", key=key)
        said = " ".join(explain(self._complaints)) if self._complaints else "no task ran there"
        return Problem(f"Ansible could not run{where}: {said}", "mend that and run arriero up again", key=key)


def problem(site: str, task: str, messages: Sequence[str]) -> Problem:
    """A failure as a Problem: a role's own sentence, its remedy after a bar; else a module's words, with the task."""
    what, bar, remedy = "; ".join(explain(messages)).partition(REMEDY_MARK)
    key = f"sites.{site}"
    if bar:
        return Problem(what.strip(), remedy.strip(), key=key)
    return Problem(f"'{task}' failed: {what}", "mend that and run arriero up again", key=key)
