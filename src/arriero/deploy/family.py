"""Ends a process with everything it has started, workers in sessions of their own included."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path

_GONE = frozenset(("", "Z", "X"))
_STOPPED = _GONE | {"T", "t"}
_PATIENCE_SECONDS = 2.0


def kill_children(mark: str) -> None:
    """Kills every child of this process whose command line holds `mark`, with all descendants.

    Ansible's workers lead process groups of their own, so one group's signal would leave them at work. Each process is
    stopped before its children are listed: so none is missed, and none is handed to init halfway. Daemons that were
    set free on purpose (a local server) are no descendants any more, and live on.
    """
    for child in _children(os.getpid()):
        if mark.encode() in _read(child, "cmdline"):
            kill_tree(child)


def kill_marked(mark: str) -> None:
    """As `kill_children`, whoever is the parent by now: for a mark that nobody else's command line can hold."""
    for process in [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]:
        if process != os.getpid() and mark.encode() in _read(process, "cmdline"):
            kill_tree(process)


def kill_tree(process: int) -> None:
    """Kills a process with all its descendants."""
    if not _signal(process, signal.SIGSTOP):
        return
    _wait(process, _STOPPED)
    for child in _children(process):
        kill_tree(child)
    _signal(process, signal.SIGKILL)
    _wait(process, _GONE)


def _wait(process: int, states: Collection[str]) -> None:
    """A signal takes a moment to work; one that the kernel holds up (a dead disk) is not waited for any longer."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while _stat(process)[:1] not in states and time.monotonic() < end:
        time.sleep(0.001)


def _children(parent: int) -> Iterator[int]:
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and _stat(int(path.name)).split()[1:2] == [str(parent)]:
            yield int(path.name)


def _stat(process: int) -> str:
    """State and parent (fields 3 and 4 of proc(5)'s stat), after the name, which may hold anything; empty if gone."""
    return _read(process, "stat").rpartition(b") ")[2].decode()


def _read(process: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:
        return b""


def _signal(process: int, number: signal.Signals) -> bool:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True
