"""One container, started with the flags of production, through the command `docker`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from arriero.errors import ArrieroError, Problem
from arriero.spec.model import Spec

PORT = 11434
# What the container may write to, besides nothing: the keys that Ollama makes, and temporary files.
WRITABLE = ("/home/ollama/.ollama", "/tmp")
# Docker kills what has not ended by then; the drain ends before.
SPARE_SECONDS = 6


@dataclass(frozen=True, slots=True)
class Container:
    """`listens` is where it was told to listen; empty where Docker publishes its port."""

    name: str
    listens: str = ""

    @property
    def address(self) -> str:
        """Where its port answers on this machine."""
        return self.listens or docker("port", self.name, f"{PORT}/tcp").splitlines()[0].strip()

    def about(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(docker("inspect", self.name))[0]
        return found

    def users(self) -> frozenset[str]:
        """The numeric users of all of its processes. Docker finds a container's processes by the column of pids."""
        return frozenset(line.split()[1] for line in docker("top", self.name, "-eo", "pid,uid").splitlines()[1:])

    def stop(self, within_seconds: float) -> int:
        """Asks it to end, as the clouds do; returns its exit code (137: it had to be killed)."""
        docker("stop", "--time", str(round(within_seconds + SPARE_SECONDS)), self.name)
        return int(self.about()["State"]["ExitCode"])

    def last_lines(self) -> str:
        ended = subprocess.run(
            ["docker", "logs", "--tail", "5", self.name], capture_output=True, text=True, check=False
        )
        return " / ".join((ended.stdout + ended.stderr).strip().splitlines()[-5:])


def flags(spec: Spec, processors: int) -> list[str]:
    """The flags of `docker run` that production has, on a machine of so many processors."""
    limits = ["--memory", str(int(spec.size.memory)), "--cpus", f"{min(float(spec.size.cpu), processors):g}"]
    volumes = [word for folder in WRITABLE for word in ("--volume", folder)]
    given = {**spec.environment, "ARRIERO_DRAIN_SECONDS": str(int(spec.deploy.stop_within))}
    variables = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    safe = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true"]
    return [*safe, *limits, *volumes, *variables]


def ways(network: str, ports: tuple[int, int]) -> list[str]:
    """How it is reached: by a port that Docker publishes, or on the machine's own network at the ports given."""
    if not network:
        return ["--publish", f"127.0.0.1::{PORT}"]
    told = {"ARRIERO_LISTEN": f"127.0.0.1:{ports[0]}", "ARRIERO_OLLAMA_ADDRESS": f"127.0.0.1:{ports[1]}"}
    return ["--network", network, *(word for name, value in told.items() for word in ("--env", f"{name}={value}"))]


@contextmanager
def running(spec: Spec, image: str, network: str = "") -> Iterator[Container]:
    """Starts it, and leaves nothing of it behind. Raises ArrieroError where there is no engine, or no such image."""
    docker("version", "--format", "{{.Server.Version}}")
    ports = (_free_port(), _free_port())
    # Named by us, so that one that was begun is found again whenever we are stopped.
    name = f"arriero-test-{uuid4().hex[:12]}"
    words = ["--name", name, *flags(spec, os.cpu_count() or 1), *ways(network, ports)]
    try:
        docker("run", "--detach", *words, image)
        yield Container(name, f"127.0.0.1:{ports[0]}" if network else "")
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def docker(*words: str) -> str:
    """What it prints; raises ArrieroError with its own last line."""
    try:
        ended = subprocess.run(
            ["docker", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError:
        remedy = "install a container engine with the command docker, or test the spec alone: --spec-only"
        raise ArrieroError(Problem("there is no program docker", remedy, "docker")) from None
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines() or [f"`docker {words[0]}` failed"]
        remedy = "start its daemon, or set DOCKER_HOST" if "Cannot connect" in said[-1] else "see: docker images"
        raise ArrieroError(Problem(said[-1], remedy, "docker"))
    return ended.stdout
