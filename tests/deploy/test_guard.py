"""A run does not outlive its lease, also when the deployer stands still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# A deployer with a lease of two seconds that it keeps, and a child that works on and on.
DEPLOYER = """
import subprocess, sys, time
from pathlib import Path
from arriero.clock import SystemClock
from arriero.deploy import guard
from arriero.releases.folder import Folder
from arriero.releases.head import Holder
from arriero.releases.lease import acquire
folder, MARK = Path(sys.argv[1]), "-".join(["the", "mark", "of", "this", "run"])
store = Folder(folder / "store")
lease = acquire(store, Holder("ann", "up", ""), 2.0, SystemClock(), told=print)
lease.keep()
with guard.watching(lease, folder / "lease", MARK):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", MARK])
    print(child.pid, flush=True)
    child.wait()
print("child over", flush=True)
"""
# Where they may be known to Python by the environment alone.
PACKAGES = "/packages/of/the/deployer"


@pytest.fixture
def deployer(tmp_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DEPLOYER, str(tmp_path)]
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": "of-the-deployer", "PYTHONPATH": PACKAGES}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def ended_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_running(pid)


def guards_of(pid: int) -> list[Path]:
    """The processes that watch over what this one runs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [Path("/proc", child) for child in children]
    return [folder for folder in found if b"arriero.deploy.guard" in (folder / "cmdline").read_bytes()]


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_deployer_that_stands_still_or_dies_takes_its_run_along(
    deployer: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert deployer.stdout is not None
    child = int(deployer.stdout.readline())
    try:
        [guarding] = guards_of(deployer.pid)
        held = (guarding / "environ").read_bytes()
        assert b"of-the-deployer" not in held
        assert f"PYTHONPATH={PACKAGES}".encode() in held
        assert not ended_within(child, 2.5)  # longer than a lease, which is kept
        os.kill(deployer.pid, number)
        assert ended_within(child, 10)
    finally:
        for pid in (deployer.pid, child):
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)
        deployer.wait()
        deployer.stdout.close()
