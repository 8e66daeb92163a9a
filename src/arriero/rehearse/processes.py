"""The server processes of a stage: one for every container, each on an address that is its target's own.

Who runs: one thread starts all processes (Linux ties "die with the parent" to the starting *thread*, so it must live as
long as the stage), any thread may ask and signal. A process is alone in its session; it dies with the stage, however
that ends: the engine by its own parent-death signal, a real Ollama through its keeper (`keeper.py`).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from arriero.errors import Problem, Refused
from arriero.rehearse.addresses import Addresses
from arriero.rehearse.launch import Launch, find_ollama, launch, placed
from arriero.rehearse.namespaces import Namespaces, Rule, is_asked_for

_ANSWER_SECONDS = 0.5


@dataclass(frozen=True)
class ServerSpec:
    """One container to run: `image` and `command` as its cloud was told, `environment` the container's own."""

    target: str
    container: str
    cloud: str
    region: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    port: int = 11434
    stop_seconds: float = 30.0
    memory_bytes: int = 0
    resolver: str = ""
    mounts: Mapping[str, Path] = field(default_factory=dict)
    """Folders of this machine, by the paths at which the container sees them."""


class Server:
    """A process that was started for a container; it may have ended since. Who asks it as its cloud does, inside of
    the container, asks from `asker`.
    """

    def __init__(self, spec: ServerSpec, address: str, started: Launch, log: Path, asker: str) -> None:
        self.spec = spec
        self.address = address
        self.asker = (asker, 0)
        self.engine: Literal["ollama", "simulated"] = started.engine
        self.pid = started.pid
        self.log = log
        self.started_at = datetime.now(UTC)
        self._process = started.process

    def poll(self) -> int | None:
        """The exit code, the negative number of the signal that ended it, or None while it runs."""
        return self._process.poll()

    def is_answering(self) -> bool:
        """Whether `GET /` gives 200 within half a second."""
        connection = http.client.HTTPConnection(
            self.address, self.spec.port, timeout=_ANSWER_SECONDS, source_address=self.asker
        )
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """SIGTERM now, SIGKILL after the container's grace; returns at once."""
        self._signal(signal.SIGTERM)
        killer = threading.Timer(self.spec.stop_seconds, self.kill)
        killer.daemon = True
        killer.start()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Stops it and what it started: it accepts connections and never answers."""
        self._signal(signal.SIGSTOP, group=True)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT, group=True)

    def wait(self, seconds: float) -> int | None:
        """Waits for its end; None if it still runs after `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def _signal(self, number: int, *, group: bool = False) -> None:
        if self.poll() is not None:
            return  # its pid may belong to another process by now
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number) if group else os.kill(self.pid, number)


class Processes:
    """All server processes of one stage; `environment` is its own, from which ARRIERO_OLLAMA and PATH are taken."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._folder = folder / "targets"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._addresses = Addresses(folder)
        is_apart = is_asked_for(self._environment)
        self._apart = Namespaces(folder, self._addresses.number) if is_apart else None
        self._ollama = find_ollama(self._environment)
        self._servers: list[Server] = []
        self._lock = threading.Lock()
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter of servers")

    @property
    def block(self) -> str:
        """The stage's own range of loopback addresses, as `127.N.0.0/16`."""
        return self._addresses.block

    @property
    def is_apart(self) -> bool:
        """Whether each target has a network namespace of its own."""
        return self._apart is not None

    def home(self) -> str:
        """Where targets find what listens on 127.0.0.1 of the stage."""
        return self._addresses.first if self._apart else "127.0.0.1"

    def guard(self, target: str, rules: Sequence[Rule]) -> None:
        """Lets these rules count for who comes to a target; only where `is_apart`."""
        if self._apart:
            self._apart.guard(self.address(target), rules)

    def guard_door(self, address: str, rules: Sequence[Rule]) -> None:
        """As `guard`, for an address at which the stage itself listens for others."""
        if self._apart:
            self._apart.guard_door(address, rules)

    @property
    def engine(self) -> Literal["ollama", "simulated"]:
        """What answers in servers that are started now."""
        return "ollama" if self._ollama else "simulated"

    def address(self, target: str) -> str:
        """The target's own loopback address, the same until it is released."""
        return self._addresses.of(target)

    def volume(self, target: str, name: str) -> Path:
        """A folder that a target's containers share, and that goes with it."""
        folder = self._folder / _safe(target) / "volumes" / _safe(name)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def storage(self, *names: str) -> Path:
        """A file system or a share of a cloud, which stays when targets go."""
        folder = self._folder.parent.joinpath("storage", *map(_safe, names))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def release(self, target: str) -> None:
        """Kills what still runs of the target; its address, model store and logs go."""
        with self._lock:
            mine = [server for server in self._servers if server.spec.target == target]
        for server in mine:
            server.kill()
            server.wait(5)
        with self._lock:
            self._servers = [server for server in self._servers if server.spec.target != target]
        if self._apart:
            self._apart.remove(self.address(target))
        self._addresses.release(target)
        shutil.rmtree(self._folder / _safe(target), ignore_errors=True)

    def start(self, spec: ServerSpec) -> Server:
        """Starts the container's process and returns at once; whether it answers is to be asked later."""
        return self._starter.submit(self._start, spec).result()

    def all(self) -> list[Server]:
        """Those that run."""
        with self._lock:
            self._servers = [server for server in self._servers if server.poll() is None]
            return list(self._servers)

    def mounting(self) -> list[Server]:
        """Those that run and see a file system or share of a cloud."""
        stored = self._folder.parent / "storage"
        return [one for one in self.all() if any(path.is_relative_to(stored) for path in one.spec.mounts.values())]

    def close(self) -> None:
        """Kills every process and gives the range of addresses back; what the targets stored stays."""
        running = self.all()
        for server in running:
            server.kill()
        for server in running:
            server.wait(5)
        self._starter.shutdown()
        if self._apart:
            self._apart.close()
        self._addresses.close()

    def _start(self, spec: ServerSpec) -> Server:
        folder = self._folder / _safe(spec.target)
        folder.mkdir(parents=True, exist_ok=True)
        address = self.address(spec.target)
        log = folder / f"{_safe(spec.container)}.log"
        with log.open("ab") as output:
            server = Server(spec, address, self._launch(spec, address, folder, output), log, self._addresses.first)
        with self._lock:
            self._servers.append(server)
        return server

    def _launch(self, spec: ServerSpec, address: str, folder: Path, output: IO[bytes]) -> Launch:
        return launch(
            image=spec.image,
            command=spec.command,
            ollama=self._ollama,
            listen=f"{address}:{spec.port}",
            folder=folder,
            outer=self._environment,
            inner=placed(spec.environment, address, spec.resolver),
            output=output,
            mounts=spec.mounts,
            enter=self._apart.entered(address) if self._apart else (),
        )


def _safe(name: str) -> str:
    if not name or name.startswith(".") or not all(c.isalnum() or c in "._-" for c in name):
        raise Refused(Problem(f"{name!r} cannot be the name of a target or container", "use letters, digits, . _ -"))
    return name
