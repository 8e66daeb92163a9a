"""A crash on purpose: kills a deployer at one of its writing calls, before it is carried out or before it is answered.

Every door of the stage (both clouds, their object stores, and the one before a gateway's control port) lets each
writing call pass here twice. Once armed, the calls are counted; at the one that was asked for, processes get SIGKILL.
Victims: `deployer` (that process alone), `machine` (it and all that it started, at once), `ansible` (all that it
started; the deployer where nothing else runs).

Who runs: the thread of each call; counting and killing happen under one lock, so no later call passes meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

When = Literal["before", "after"]
Victim = Literal["deployer", "machine", "ansible"]


@dataclass(frozen=True, slots=True)
class Crash:
    """Whom to kill, and at which writing call, counted from 1 since it was armed; 0 counts only."""

    pid: int
    call: int
    when: When
    victim: Victim


@dataclass(frozen=True, slots=True)
class Tripped:
    """How many calls were begun since it was armed; at which (`cloud action name`) whom it killed, if it did."""

    calls: int = 0
    at: str = ""
    killed: tuple[int, ...] = ()


class Tripwire:
    """`begins` says whether the call may be carried out; `ends` comes before its answer leaves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crash: Crash | None = None
        self._tripped = Tripped()

    def arm(self, crash: Crash) -> None:
        with self._lock:
            self._crash, self._tripped = crash, Tripped()

    def told(self) -> Tripped:
        with self._lock:
            return self._tripped

    def begins(self, call: str) -> tuple[bool, int]:
        """Whether it may go on, and its number, which `ends` wants to hear."""
        with self._lock:
            crash, tripped = self._crash, self._tripped
            if crash is None or tripped.killed:
                return True, 0
            number = tripped.calls + 1
            self._tripped = Tripped(number)
            if crash.when == "after" or crash.call != number:
                return True, number
            self._kill(crash, number, call)
            return False, number

    def ends(self, call: str, number: int) -> None:
        with self._lock:
            crash = self._crash
            if crash and number and crash.when == "after" and crash.call == number and not self._tripped.killed:
                self._kill(crash, self._tripped.calls, call)

    def _kill(self, crash: Crash, calls: int, call: str) -> None:
        victims = _victims(crash)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._tripped = Tripped(calls, call, tuple(victims))


def _victims(crash: Crash) -> list[int]:
    if crash.victim == "deployer":
        return [crash.pid]
    family = _descendants(crash.pid)
    if crash.victim == "ansible" and family:
        return family
    return [crash.pid, *family]


def _descendants(pid: int) -> list[int]:
    """Everything that a process has started and that still runs, nearest first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            # The name in the second field is in brackets and may hold anything; the parent is the second after it.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, turn = [], children.get(pid, [])
    while turn:
        found += turn
        turn = [child for each in turn for child in children.get(each, [])]
    return found
