"""Ending a process with all that it started, and with nothing that it set free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from arriero.deploy import family

# Starts a child in a session of its own, a grandchild, and a daemon whose parent is gone; then says their pids.
PARENT = """
import os, subprocess, sys, time
sleep = ["sleep", "300"]
child = subprocess.Popen([sys.executable, "-c",
    "import subprocess, time; p = subprocess.Popen(['sleep', '300']); print(p.pid, flush=True); time.sleep(300)"],
    stdout=subprocess.PIPE, text=True, start_new_session=True)
grandchild = int(child.stdout.readline())
middle = subprocess.run(["sh", "-c", "setsid sleep 300 > /dev/null 2>&1 & echo $!"], capture_output=True, text=True)
print(child.pid, grandchild, int(middle.stdout), flush=True)
time.sleep(300)
"""


@pytest.fixture
def mark() -> str:
    return f"mark-{uuid4().hex}"


@pytest.fixture
def parent(mark: str) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    process = subprocess.Popen([sys.executable, "-c", PARENT, mark], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    pids = [int(word) for word in process.stdout.readline().split()]
    yield process, pids
    for pid in (*pids, process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    process.stdout.close()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def test_children_and_their_children_end_and_a_daemon_lives_on(
    parent: tuple[subprocess.Popen[str], list[int]], mark: str
) -> None:
    process, (child, grandchild, daemon) = parent
    family.kill_children(mark)
    assert process.wait(5) == -signal.SIGKILL
    assert [is_running(pid) for pid in (child, grandchild, daemon)] == [False, False, True]


def test_a_child_without_the_mark_is_left_alone(parent: tuple[subprocess.Popen[str], list[int]]) -> None:
    process, pids = parent
    family.kill_children("mark-of-another")
    assert process.poll() is None
    assert all(map(is_running, pids))
