"""Servers as processes of their own: the built-in engine, or the real Ollama that ARRIERO_OLLAMA names."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from running_gateway import free_port

from arriero.control.messages import TargetEntry

PROFILE = {"load_seconds": 0.0, "first_token_seconds": 0.001, "tokens_per_second": 200.0}
REAL = os.environ.get("ARRIERO_OLLAMA", "")
REAL_MODELS = os.environ.get("ARRIERO_STAGE_MODELS", "")


@dataclass
class Server:
    name: str
    port: int
    process: subprocess.Popen[bytes]
    entry: TargetEntry = field(init=False)

    def __post_init__(self) -> None:
        self.entry = TargetEntry(self.name, f"site-{self.name}", f"127.0.0.1:{self.port}", slots=4)

    def kill(self) -> None:
        """The server and what it started: Ollama's runners outlive it else."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def kill_runners(self) -> None:
        """Only the processes that run models."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        for child in {*children, *(pid for thread in threads for pid in thread.read_text().split())}:
            os.kill(int(child), signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


@contextlib.contextmanager
def servers(folder: Path, *names: str, is_real: bool = False, **environment: str) -> Iterator[list[Server]]:
    """Starts one server a name; all end with the block."""
    started = []
    try:
        for name in names:
            started.append(_start(folder / name, name, is_real, environment))
        yield started
    finally:
        for server in started:
            server.kill()
            server.process.wait(10)


def _start(folder: Path, name: str, is_real: bool, environment: dict[str, str]) -> Server:
    folder.mkdir()
    port = free_port()
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "OLLAMA_HOST": f"127.0.0.1:{port}", "OLLAMA_NO_CLOUD": "1"}
    if is_real:
        own |= {"OLLAMA_MODELS": REAL_MODELS, "OLLAMA_NUM_PARALLEL": "1"}
    else:
        own |= {"ARRIERO_ENGINE_PROFILE": json.dumps(PROFILE), "ARRIERO_MODELS": "llama2", "OLLAMA_NUM_PARALLEL": "4"}
    command = [REAL] if is_real else [sys.executable, "-m", "arriero.rehearse.engine"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "serve"], env={**own, **environment}, stdout=log, stderr=log, start_new_session=True
        )
    return Server(name, port, process)
