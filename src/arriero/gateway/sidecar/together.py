"""Ollama and its sidecar in one container: `arriero gateway sidecar --with-ollama`, for plain Docker.

The sidecar is this process and Ollama its child, on loopback. SIGTERM drains the sidecar first, and Ollama is stopped
when no stream is open; if Ollama ends by itself so does the container, and its engine starts another.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

from arriero.errors import ArrieroError, Problem
from arriero.gateway.sidecar import main
from arriero.gateway.sidecar.settings import SidecarSettings

STOP_SECONDS = 5.0


def run(environment: Mapping[str, str]) -> int:
    """Serves until a signal or until Ollama ends; raises ArrieroError for bad settings, before anything is started."""
    settings = SidecarSettings.of(environment)
    ollama = _start({**environment, "OLLAMA_HOST": settings.ollama})
    try:
        return main.run({**environment, "ARRIERO_FOLLOW": str(ollama.pid)})
    finally:
        _stop(ollama)


def _start(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """In a session of its own: a terminal's Ctrl-C is for the sidecar, which drains before Ollama goes."""
    try:
        return subprocess.Popen(["ollama", "serve"], env=environment, start_new_session=True)
    except OSError as error:
        remedy = "run it in an image that holds both programs"
        raise ArrieroError(Problem(f"`ollama serve` can't be started: {error.strerror}", remedy)) from None


def _stop(ollama: subprocess.Popen[bytes]) -> None:
    ollama.terminate()
    try:
        ollama.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        ollama.kill()
        ollama.wait()
