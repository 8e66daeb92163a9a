"""The only door to ansible-runner: runs a playbook over sites and tells what happened in our own words.

ansible-runner writes its child's environment to a file. So credentials are not in it: they lie in a memory file of
this process, and `with_credentials.py` takes them from there and becomes ansible-playbook. They are never on a disk.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from arriero.clock import Clock
from arriero.deploy import journal, settings
from arriero.deploy.workspace import Workspace
from arriero.errors import Problem
from arriero.events import Event, Listener

MESSAGE_LIMIT = 600


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How the playbook ended at each site; a site that failed has the problem that stopped it."""

    ok: frozenset[str] = frozenset()
    failed: Mapping[str, Problem] = field(default_factory=dict)
    is_interrupted: bool = False

    @classmethod
    def nothing(cls) -> RunOutcome:
        return cls()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self.failed.values())


def run(
    workspace: Workspace,
    playbook: str,
    environment: Mapping[str, str],
    sites: Sequence[str],
    listener: Listener,
    clock: Clock,
) -> RunOutcome:
    """Runs the collection's `playbook` at `sites` side by side; blocks until it has ended or Ctrl-C ended it."""
    whole = {**environment, **settings.ansible_environment(environment), "ANSIBLE_FORKS": str(max(1, len(sites)))}
    with journal.opened(workspace.folder / "journal.jsonl", listener) as noted, _interrupts() as interrupted:
        told = _Teller(noted, clock)
        status = _play(workspace.folder, f"arriero.fleet.{playbook}", whole, told, interrupted)
        outcome = _outcome(told, sites, status, interrupted, workspace.folder)
        for site in sites:
            noted(Event("site.failed" if site in outcome.failed else "site.finished", clock.now(), site))
    return outcome


def _play(folder: Path, playbook: str, environment: Mapping[str, str], told: _Teller, interrupted: list[bool]) -> str:
    from ansible_runner import Runner
    from ansible_runner.config.runner import RunnerConfig

    shown, hidden = settings.split(environment)
    config = RunnerConfig(private_data_dir=str(folder), playbook=playbook, quiet=True, suppress_env_files=True)
    config.prepare()
    config.suppress_ansible_output = True
    with _memory_file(hidden) as path:
        runner_own, _ = settings.split(config.env)
        config.env = {**runner_own, **shown}
        config.command = [sys.executable, "-m", "arriero.deploy.with_credentials", path, *config.command]
        status, _ = Runner(config, event_handler=told, cancel_callback=lambda: bool(interrupted)).run()
    return str(status)


@contextmanager
def _memory_file(hidden: Mapping[str, str]) -> Iterator[str]:
    """The path of a file in memory that holds `hidden` as JSON; only this user's processes can open it."""
    descriptor = os.memfd_create("credentials")
    try:
        os.write(descriptor, json.dumps(dict(hidden)).encode())
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextmanager
def _interrupts() -> Iterator[list[bool]]:
    """Ctrl-C and SIGTERM ask the run to end, which takes its children along; the list is empty until then."""
    asked: list[bool] = []

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.append(True)

    former = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class _Teller:
    """Turns ansible-runner's events into ours, and keeps the message of each site's failure."""

    def __init__(self, listener: Listener, clock: Clock) -> None:
        self._listener, self._clock = listener, clock
        self._step: dict[str, str] = {}
        self.failures: dict[str, tuple[str, str]] = {}

    def __call__(self, event: dict[str, Any]) -> bool:
        kind, data = event["event"], event.get("event_data", {})
        site, task = data.get("host", ""), data.get("task", "")
        if kind == "runner_on_start":
            self._started(site, Path(data.get("task_path", "").rpartition(":")[0]).stem, task)
        elif kind in ("runner_on_failed", "runner_on_unreachable") and not data.get("ignore_errors"):
            self.failures[site] = (task, _message(data.get("res", {})))
            self._tell("step.failed", site, task)
        return False  # ansible-runner writes no event file: what matters is in the journal

    def _started(self, site: str, step: str, task: str) -> None:
        if self._step.get(site) != step:
            self._step[site] = step
            self._tell("step.started", site, task)
        else:
            self._tell("step.progress", site, task)

    def _tell(self, kind: str, site: str, task: str) -> None:
        fields = {"step": self._step.get(site, ""), "task": task.rpartition(" : ")[2]}
        self._listener(Event(kind, self._clock.now(), site, dict(fields)))


def _message(result: Mapping[str, Any]) -> str:
    """What a failed task said, for people: the modules' own words, on one line."""
    parts = [str(item.get("msg", "")) for item in result.get("results", []) if item.get("failed")]
    text = " ".join("; ".join(dict.fromkeys(parts or [str(result.get("msg", "it gave no reason"))])).split())
    return text if len(text) <= MESSAGE_LIMIT else text[:MESSAGE_LIMIT] + "…"


def _outcome(told: _Teller, sites: Sequence[str], status: str, interrupted: list[bool], folder: Path) -> RunOutcome:
    failed = {site: _problem(site, task, message) for site, (task, message) in told.failures.items() if site in sites}
    if interrupted:
        raise KeyboardInterrupt
    if status != "successful" and not failed:
        log = next(folder.glob("artifacts/*/stdout"), folder)
        problem = Problem(f"ansible-playbook ended as {status}", "read its log", file=str(log))
        failed = dict.fromkeys(sites, problem)
    return RunOutcome(frozenset(sites) - failed.keys(), failed)


def _problem(site: str, task: str, message: str) -> Problem:
    what, _, remedy = message.partition(" | ")
    name = task.rpartition(" : ")[2]
    return Problem(f"'{name}' failed: {what}", remedy or "mend that and run arriero up again", key=f"sites.{site}")
