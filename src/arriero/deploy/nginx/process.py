"""nginx's processes: a master, which is the one that we start, and its workers.

A master that is killed leaves its workers behind, which go on serving and hold its ports; so they are known by their
session, which is the master's, and by the folder in which they stand.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from arriero.clock import SystemClock
from arriero.clouds.local import process
from arriero.clouds.local.process import Process
from arriero.errors import ArrieroError, Problem

FILE, LOG = "nginx.conf", "nginx.log"
START_SECONDS = 20.0
TEST_SECONDS = 20.0
GRACE_SECONDS = 5.0
LOOK_SECONDS = 0.02
MISSING = Problem(
    "there is no nginx in the PATH of this machine",
    "install it (Debian, Ubuntu, Fedora: the package nginx; Alpine: apk add nginx), or remove the line",
    "ingress.nginx.run",
)
# Where packages put it: no part of everybody's PATH.
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_IN_USE = f"({errno.EADDRINUSE}: "
_WRONG = re.compile(r"\[(?:emerg|alert)\] (?:\d+#\d+: )?(.*)")
# All else, logins to clouds above all, is no business of a program that speaks to strangers.
_GETS = ("LANG", "LC_ALL", "OPENSSL_CONF", "TZ")


def program() -> str | None:
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS)))


def test(folder: Path, file: str) -> None:
    """Raises ArrieroError with nginx's own words where it does not take the configuration `file` of its folder."""
    try:
        said = subprocess.run(
            [*_command(folder, file), "-t"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _refused(f"it says nothing within {TEST_SECONDS:.0f} s") from error
    if said.returncode:
        raise _refused(said.stderr)


def start(folder: Path) -> Process:
    """A new master of the configuration in `folder`; see that it serves with `wait_until_it_serves`."""
    with (folder / LOG).open("ab") as log:
        started = subprocess.Popen(
            [*_command(folder, FILE), "-g", "daemon off;"],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=folder,
        )
    found = process.find(started.pid)
    if found is None:
        raise _ended(folder, 0)
    return found


def wait_until_it_serves(folder: Path, master: Process, log_from: int = 0) -> None:
    """It has workers only once all of its doors are open. Raises ArrieroError where it ends before that."""
    _wait(folder, master, log_from, lambda: bool(crew(folder, master)))


def reload(folder: Path, master: Process) -> None:
    """Has it read its file anew: new workers take what comes, the former ones end with their last stream.

    Raises ArrieroError with its own words where it stays with what it had.
    """
    former, begun = set(crew(folder, master)), log_size(folder)
    master.signal(signal.SIGHUP)
    _wait(folder, master, begun, lambda: all(map(_is_leaving, former)) and bool(set(crew(folder, master)) - former))


def leave(folder: Path, master: Process) -> tuple[Process, ...]:
    """Has it take nothing more, and end with its last stream; also workers that a master left behind. Who that is."""
    workers = crew(folder, master)
    for each in (master,) if master.is_alive else workers:
        each.signal(signal.SIGQUIT)
    return (master, *workers) if master.is_alive else workers


def end(processes: Sequence[Process], within_seconds: float) -> bool:
    """Waits so long for all of them to be gone, then ends them; False if streams were cut."""
    if _gone(processes, within_seconds):
        return True
    for number in (signal.SIGTERM, signal.SIGKILL):
        for each in processes:
            each.signal(number)
        if _gone(processes, GRACE_SECONDS):
            break
    return False


def crew(folder: Path, master: Process) -> tuple[Process, ...]:
    """The workers of this master that live, in no order."""
    found, place = [], folder.resolve()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == master.pid:
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            # Field 6 of /proc/PID/stat, see proc_pid_stat(5).
            is_ours = int(fields[3]) == master.pid and (entry / "cwd").readlink() == place
            if is_ours and (one := process.find(int(entry.name))):
                found.append(one)
    return tuple(found)


def log_size(folder: Path) -> int:
    try:
        return (folder / LOG).stat().st_size
    except FileNotFoundError:
        return 0


def why_taken(door: str) -> OSError | None:
    """Why nobody could listen there now; None where one could."""
    address, _, port = door.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, int(port)))
        except OSError as error:
            return error
    return None


def wait_for_doors(doors: Sequence[str]) -> None:
    """Until those who leave have shut them, five seconds at most: then nginx itself says what is wrong."""
    clock = SystemClock()
    deadline = clock.monotonic() + GRACE_SECONDS
    while any(map(why_taken, doors)) and clock.monotonic() < deadline:
        clock.sleep(LOOK_SECONDS)


def _wait(folder: Path, master: Process, log_from: int, is_done: Callable[[], bool]) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + START_SECONDS
    while not is_done():
        said = _said(folder, log_from)
        if not master.is_alive:
            raise _ended(folder, log_from)
        # A door that is taken is tried again, for two seconds: only its last word on it is one.
        if any(_IN_USE not in each for each in _WRONG.findall(said)):
            raise _refused(said)
        if clock.monotonic() > deadline:
            raise ArrieroError(Problem("nginx does not serve after 20 s", "read its log", file=str(folder / LOG)))
        clock.sleep(LOOK_SECONDS)


def _gone(processes: Sequence[Process], within_seconds: float) -> bool:
    clock = SystemClock()
    deadline = clock.monotonic() + within_seconds
    while any(each.is_alive for each in processes):
        if clock.monotonic() > deadline:
            return False
        clock.sleep(LOOK_SECONDS)
    return True


def _said(folder: Path, begin: int) -> str:
    try:
        return (folder / LOG).read_bytes()[begin:].decode(errors="replace")
    except FileNotFoundError:
        return ""


def _is_leaving(worker: Process) -> bool:
    """Whether it takes nothing more: nginx writes that into its command line. New ones come before that is so."""
    try:
        told = Path(f"/proc/{worker.pid}/cmdline").read_bytes()
    except OSError:
        return True
    return b"shutting down" in told or not worker.is_alive


def _ended(folder: Path, log_from: int) -> ArrieroError:
    wrong = _WRONG.findall(_said(folder, log_from))
    return ArrieroError(
        Problem(f"nginx ended at once{f': {wrong[0]}' if wrong else ''}", "read its log", file=str(folder / LOG))
    )


def _refused(said: str) -> ArrieroError:
    wrong = _WRONG.findall(said)
    what = f"nginx does not take its configuration: {wrong[0] if wrong else said.strip()[-200:]}"
    return ArrieroError(Problem(what, "mend what it names, and run arriero up again", key="ingress.nginx"))


def _command(folder: Path, file: str) -> list[str]:
    found = program()
    if found is None:
        raise ArrieroError(MISSING)
    return [found, "-p", str(folder), "-c", file, "-e", "stderr"]


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _GETS if name in os.environ}
