"""What binds a process to its parent: Linux's parent-death signal and its child subreaper (prctl(2))."""

import ctypes
import os
import signal
import sys

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36


def die_with_parent(number: int = signal.SIGKILL, parent: int | None = None) -> None:
    """Asks for the signal when the thread that started this process ends; ends now if `parent` is gone already."""
    _prctl(_SET_PDEATHSIG, number)
    if parent is not None and os.getppid() != parent:
        sys.exit("the process that started this one is gone")


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose own parent dies."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
