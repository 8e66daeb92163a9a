"""Ends a run when its lease ends, also while the deployer itself stands still (SIGSTOP, a debugger, swapping).

`python -m arriero.deploy.guard PARENT FILE` is a process of its own. FILE holds the moment at which the lease ends, in
seconds of CLOCK_MONOTONIC, which all processes of a machine share; the lease writes it anew at every beat. Past it, or
when the deployer is gone, every process of the run dies. What marks those comes on stdin, so that the guard's own
command line does not carry it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arriero.clouds.endpoints import sealed_for_python
from arriero.deploy import family
from arriero.releases.lease import Lease

LOOK_SECONDS = 0.1


@contextmanager
def watching(lease: Lease | None, file: Path, mark: str) -> Iterator[None]:
    """While inside, the run whose processes hold `mark` in their command lines does not outlive `lease`."""
    if lease is None:
        yield
        return
    _write(file, lease.deadline)
    lease.on_beat = lambda deadline: _write(file, deadline)
    command = [sys.executable, "-m", "arriero.deploy.guard", str(os.getpid()), str(file)]
    environment = sealed_for_python(os.environ, {})  # of the deployer's logins it needs none
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as guard:
        assert guard.stdin is not None
        try:
            guard.stdin.write(f"{mark}\n".encode())
            guard.stdin.flush()
            yield
        finally:
            lease.on_beat = lambda _: None
            guard.kill()


def main() -> None:
    parent, file, mark = int(sys.argv[1]), Path(sys.argv[2]), sys.stdin.readline().strip()
    if not mark:
        return
    while os.getppid() == parent and time.monotonic() < float(file.read_text()):
        time.sleep(LOOK_SECONDS)
    family.kill_marked(mark)


def _write(file: Path, deadline: float) -> None:
    """Whole or not at all: the guard reads it ten times a second."""
    fresh = file.with_suffix(".new")
    fresh.write_text(repr(deadline))
    fresh.replace(file)


if __name__ == "__main__":
    main()
