"""A process of this machine, told from a later one that got the same number by the moment it started."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """`started` is in clock ticks since the machine's start: field 22 of /proc/PID/stat, see proc_pid_stat(5)."""

    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        return find(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Sends it to this very process, or to nobody."""
        try:
            held = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.is_alive:
                signal.pidfd_send_signal(held, number)
        except ProcessLookupError:
            return
        finally:
            os.close(held)

    def end(self, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL if it is still there after the grace; returns when it is gone."""
        self.signal(signal.SIGTERM)
        if not self._is_gone_within(grace_seconds):
            self.signal(signal.SIGKILL)
            self._is_gone_within(5)

    def _is_gone_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.is_alive:
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def find(pid: int) -> Process | None:
    """The process that has this number now; None if there is none, or only its unread exit code is left."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else Process(pid, int(fields[19]))
