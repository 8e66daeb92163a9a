"""The only door to ansible-runner: runs a playbook at sites and tells what happens in our own words.

What could hold a secret is on no disk. ansible-runner writes its child's environment to a file, so it gets an empty
one: the real one lies in a memory file of this process, and `with_credentials.py` becomes ansible-playbook with it.
Its callback would write each task's result to a file, so one of ours sends events through the terminal instead.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

from arriero.clock import Clock
from arriero.deploy import collections, family, guard, journal
from arriero.deploy.outcome import Ending, Interrupted, RunOutcome
from arriero.deploy.scrub import Scrubber
from arriero.deploy.settings import PLAYBOOKS, run_environment
from arriero.deploy.watch import Watch
from arriero.deploy.workspace import Workspace
from arriero.errors import ArrieroError
from arriero.events import Listener
from arriero.releases.lease import Lease

__all__ = ["Interrupted", "RunOutcome", "run"]

# A whole deployment; the roles' own waits are shorter and say more when they end.
TIMEOUT_SECONDS = 3600.0
_POLL_SECONDS = 0.2
_PREFIX = "arriero_"


def run(
    workspace: Workspace,
    playbook: str,
    environment: Mapping[str, str],
    sites: Sequence[str],
    listener: Listener,
    clock: Clock,
    *,
    forks: int = 0,
    timeout_seconds: float = TIMEOUT_SECONDS,
    lease: Lease | None = None,
) -> RunOutcome:
    """Runs a playbook of the collection (or one at an absolute path) at `sites`, side by side; blocks until it ended.
    The workspace is held by the caller, see `Workspace.opened`.

    `environment` is the child's whole environment but for Ansible's own settings; logins from vaults are in it already,
    see `credentials.py`. With a `lease` it ends when that is lost.
    Raises Interrupted on Ctrl-C and SIGTERM, and ArrieroError when the set-up is not complete.
    """
    if problem := collections.missing():
        raise ArrieroError(problem)
    whole = run_environment(environment, workspace.config, workspace.temporary, forks or max(1, len(sites)))
    command = ["ansible-playbook", "-i", str(workspace.inventory)]
    with journal.opened(workspace.journal, listener) as noted, _interrupts() as is_interrupted:
        watch = Watch(sites, noted, clock)
        ending = _Ending(is_interrupted, clock, clock.monotonic() + timeout_seconds, str(workspace.inventory), lease)
        with workspace.open_log() as log:
            told = _Ear(watch, log, Scrubber(environment), clock)
            with guard.watching(lease, workspace.folder / "lease", str(workspace.inventory)):
                code = _play(workspace, [*command, str(PLAYBOOKS / playbook)], whole, told, ending)
        workspace.tidy()
        outcome = watch.end(ending.why, code)
    if outcome.ending == "interrupted":
        raise Interrupted(outcome)
    return outcome


def _play(
    workspace: Workspace, command: list[str], environment: Mapping[str, str], told: _Ear, is_over: Callable[[], bool]
) -> int:
    # Imported here: it takes 0.2 s, and most verbs never run a playbook.
    from ansible_runner import Runner
    from ansible_runner.config.runner import RunnerConfig

    config = RunnerConfig(
        private_data_dir=str(workspace.folder),
        artifact_dir=str(workspace.artifacts),
        ident="run",
        playbook=command[-1],
        suppress_env_files=True,
        quiet=True,
    )
    config.prepare()
    config.suppress_ansible_output = config.suppress_output_file = True
    config.pexpect_timeout = _POLL_SECONDS
    with _memory_file(environment) as credentials:
        config.env = {"PATH": environment["PATH"]}
        launcher = [sys.executable, "-m", "arriero.deploy.with_credentials", str(os.getpid()), credentials]
        config.command = [*launcher, *command]
        runner = Runner(config, event_handler=told, cancel_callback=is_over)
        runner.run()
    return int(runner.rc if runner.rc is not None else 254)


@contextmanager
def _memory_file(environment: Mapping[str, str]) -> Iterator[str]:
    """The path of a file in memory that holds `environment` as JSON; only this user's processes can open it."""
    descriptor = os.memfd_create("credentials")
    try:
        os.write(descriptor, json.dumps(dict(environment)).encode())
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; outside the main thread, where no signal can be caught, nobody sets it."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    former = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class _Ending:
    """Asked by ansible-runner five times a second whether to end the run; ends it, children's children first."""

    def __init__(
        self, interrupted: threading.Event, clock: Clock, deadline: float, mark: str, lease: Lease | None
    ) -> None:
        self._interrupted, self._clock, self._deadline, self._mark = interrupted, clock, deadline, mark
        self._lease = lease
        self.why: Ending = "finished"

    def __call__(self) -> bool:
        if self._interrupted.is_set():
            self.why = "interrupted"
        elif self._lease is not None and not self._lease.is_held:
            self.why = "lease lost"
        elif self._clock.monotonic() > self._deadline:
            self.why = "timed out"
        else:
            return False
        family.kill_children(self._mark)
        return True


class _Ear:
    """Hears ansible-runner's events: records go to the watch, every line to the log, and nothing to event files."""

    def __init__(self, watch: Watch, log: TextIO, scrub: Scrubber, clock: Clock) -> None:
        self._watch, self._log, self._scrub, self._clock = watch, log, scrub, clock

    def __call__(self, event: dict[str, Any]) -> bool:
        line = self._scrub(event.get("stdout", ""))
        if line.strip():
            self._log.write(f"{self._clock.now():%H:%M:%S} {line.rstrip()}\n")
            self._log.flush()
        kind, data = str(event["event"]), event.get("event_data") or {}
        if kind.startswith(_PREFIX):
            said = [self._scrub(message) for message in data.get("messages", ())]
            self._watch.record(kind.removeprefix(_PREFIX), {**data, "messages": said})
        elif line.strip():
            self._watch.complaint(line)
        return False
