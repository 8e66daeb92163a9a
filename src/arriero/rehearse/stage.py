"""The stage as the command line sees it: one background process per project folder, found again by its pid file.

Two calls at once start it once (`flock` on `stage.lock`). A recycled pid is never taken for the stage nor killed: the
pid file holds the moment at which the process started.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arriero.clouds.endpoints import Endpoints, sealed
from arriero.clouds.local.process import Process
from arriero.errors import Problem, Refused
from arriero.events import Json
from arriero.rehearse import permissions, surroundings
from arriero.rehearse.control import NotThere, ask
from arriero.rehearse.emulator import ContainerRow, Fault
from arriero.rehearse.tripwire import Crash, Tripped

_PROGRAM = (sys.executable, "-m", "arriero.rehearse.serve")
_KEPT_ON_RESET = ("stage.lock", "ports.json", "addresses.json")
_READY_SECONDS = 90.0
_LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class StageStatus:
    """`block` is the range of addresses of its servers, as 127.N.0.0/16; empty when it does not run."""

    is_running: bool
    pid: int | None = None
    block: str = ""
    latency_scale: float = 0.0


class Stage:
    """The stage in `folder`; `program` is the command that serves it, the folder being its last argument."""

    def __init__(self, folder: Path, program: Sequence[str] = _PROGRAM) -> None:
        self.folder = folder.absolute()
        self._program = tuple(program)

    def ensure(self) -> None:
        """Starts the stage unless it runs, and returns when it answers; raises Refused with the end of its log."""
        if not self.is_running():
            self.start()

    def start(self) -> None:
        """As `ensure`; the environment's ARRIERO_STAGE_LATENCY, ARRIERO_OLLAMA… are what it runs with until its end."""
        if platform.system() != "Linux":
            problem = f"the stage needs Linux or WSL2, and this is {platform.system()}"
            raise Refused(Problem(problem, "its servers need 127.*.*.* addresses and die with it by Linux's prctl"))
        with self._locked():
            if not self.is_running():
                self._start()

    def stop(self) -> None:
        """Ends the stage and every server on it; what was created stays on disk."""
        with self._locked():
            self._stop()

    def reset(self) -> None:
        """Forgets everything that stands on the stage; one that ran runs again, empty."""
        with self._locked():
            was_running = self._process() is not None
            self._stop()
            for path in self.folder.iterdir():
                if path.name not in _KEPT_ON_RESET:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            if was_running:
                self._start()

    def is_running(self) -> bool:
        return self.status().is_running

    def status(self) -> StageStatus:
        """What the stage says of itself; not running if nobody answers."""
        try:
            answer = self._ask("status", timeout_seconds=5)
        except NotThere:
            return StageStatus(is_running=False)
        return StageStatus(is_running=True, **answer)

    def fault(self, fault: Fault) -> list[str]:
        """Plays a fault; returns what was done, a line each."""
        return [str(line) for line in self._ask("fault", fault=dict(asdict(fault)))]

    def crash(self, crash: Crash) -> None:
        """Arms a crash; the writing calls of whoever comes next are counted from now on."""
        self._ask("crash", crash=dict(asdict(crash)))

    def tripped(self) -> Tripped:
        """What has come of the crash that was armed last."""
        found = self._ask("tripped")
        return Tripped(found["calls"], found["at"], tuple(found["killed"]))

    def door(self, to: str) -> str:
        """The address (host:port) of a new door before a gateway's control port, that its calls are counted, too."""
        return str(self._ask("door", to=to))

    def containers(self) -> list[ContainerRow]:
        """The server processes on the stage; none if it does not run."""
        try:
            rows = self._ask("containers")
        except NotThere:
            return []
        return [ContainerRow(**row) for row in rows]

    def endpoints(self, environment: Mapping[str, str]) -> Endpoints:
        """The stage's clouds in place of the real ones; from `environment` only what leads nowhere is passed on."""
        answer = self._ask("endpoints")
        additions = {**surroundings.of_programs(self.folder), **answer["environment"]}
        return Endpoints("the stage", sealed(environment, additions), answer["accounts"])

    def permit(self, folder: Path | None) -> None:
        """From now on its clouds allow what the policies in `folder` do, and no more; None: everything.

        Raises Refused for policies that can't be judged.
        """
        kept, fresh, former = (self.folder / f"{permissions.FOLDER}{end}" for end in ("", ".new", ".former"))
        for left in (fresh, former):
            shutil.rmtree(left, ignore_errors=True)
        if folder is not None:
            permissions.read(folder)
            shutil.copytree(folder, fresh)
        # Each rename is whole: no call sees half of the files, though one in between is allowed.
        if kept.exists():
            kept.rename(former)
        if fresh.exists():
            fresh.rename(kept)
        shutil.rmtree(former, ignore_errors=True)

    def _ask(self, verb: str, timeout_seconds: float = 60, **rest: Json) -> Any:
        if not self.folder.is_dir():
            raise NotThere(Problem("there is no stage", "start it: arriero rehearse start", file=str(self.folder)))
        return ask(self.folder, {"verb": verb, **rest}, timeout_seconds)

    def _start(self) -> None:
        log = self.folder / "stage.log"
        with log.open("ab") as output:
            beginning = output.tell()
            subprocess.run(
                [*self._program, str(self.folder)],
                env=surroundings.of_stage(os.environ, self.folder),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        if not self._is_ready():
            said = log.read_bytes()[beginning:].decode(errors="replace").splitlines()[-_LOG_LINES:]
            problem = "\n  ".join(["the stage did not start; the end of its log:", *said])
            raise Refused(
                Problem(problem, "read the whole log, or start afresh: arriero rehearse reset", file=str(log))
            )

    def _is_ready(self) -> bool:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end:
            if self.is_running():
                return True
            if self._process() is None:
                return False
            time.sleep(0.02)
        return False

    def _stop(self) -> None:
        if process := self._process():
            process.end(grace_seconds=15)
        (self.folder / "pid.json").unlink(missing_ok=True)
        surroundings.end_local_servers(self.folder)

    def _process(self) -> Process | None:
        try:
            process = Process(**json.loads((self.folder / "pid.json").read_text()))
        except FileNotFoundError:
            return None
        return process if process.is_alive else None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        with (self.folder / "stage.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
