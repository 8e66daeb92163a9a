"""Keeps one real Ollama: called with `FD COMMAND…` it runs the command, writes its pid to FD, and ends as it ended.

SIGKILL of `ollama serve` leaves its runner process behind, with all its memory. So the keeper adopts orphans (Linux's
child subreaper) and kills them when the server is gone.
"""

import contextlib
import os
import signal
import subprocess
import sys

from arriero.rehearse.bond import adopt_orphans, die_with_parent


def main() -> None:
    descriptor, command = int(sys.argv[1]), sys.argv[2:]
    die_with_parent(signal.SIGTERM, int(os.environ.pop("ARRIERO_PARENT")))
    adopt_orphans()
    me = os.getpid()
    server = subprocess.Popen(command, start_new_session=True, preexec_fn=lambda: die_with_parent(signal.SIGKILL, me))
    signal.signal(signal.SIGTERM, lambda *_: _kill_all())
    with os.fdopen(descriptor, "w") as told:
        told.write(f"{server.pid}\n")
    code = server.wait()
    _kill_all()
    _end_as(code)


def _kill_all() -> None:
    """Kills children until there are none: a killed child's own children become ours."""
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
        return [int(pid) for pid in file.read().split()]


def _end_as(code: int) -> None:
    if code < 0:
        if -code == signal.SIGTERM:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
