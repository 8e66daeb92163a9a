"""The environments made for a stage: its own process's, and the one in which programs meet its clouds.

Both come from the allow-list of `sealed`; HOME and the clouds' configuration folders are the stage's and start empty.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from arriero.clouds.endpoints import sealed
from arriero.clouds.local.state import ServerState, read_servers, state_home
from arriero.rehearse import namespaces
from arriero.rehearse.launch import engine_command, find_ollama

_OF_THE_STAGE = (
    *("ARRIERO_OLLAMA", "ARRIERO_ENGINE_PROFILE", "ARRIERO_STAGE_MODELS"),
    *("ARRIERO_STAGE_LATENCY", "ARRIERO_STAGE_MINUTE", namespaces.SETTING),
)


def of_stage(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """What the stage's process gets: the settings meant for it, and no credentials."""
    settings = {key: environment[key] for key in _OF_THE_STAGE if environment.get(key)}
    if settings.get("ARRIERO_OLLAMA") == str(_program(folder)):
        del settings["ARRIERO_OLLAMA"]  # asked from inside a rehearsal: that is our own stand-in, not a real server
    return sealed(environment, {"HOME": str(_home(folder)), **settings})


def of_programs(folder: Path) -> dict[str, str]:
    """What the command line and Ansible get besides the emulated clouds' own variables."""
    home = _home(folder)
    return {
        "HOME": str(home),
        "ARRIERO_OLLAMA": str(_program(folder)),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AZURE_CONFIG_DIR": str(home / ".azure"),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_REMOTE_TMP": str(home / ".ansible/tmp"),
        "ANSIBLE_ASYNC_DIR": str(home / ".ansible/async"),
    }


def prepare(folder: Path, environment: Mapping[str, str]) -> None:
    """Writes what those environments name: the home and the program that stands for `ollama` at local sites."""
    _home(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    real = find_ollama(environment)
    command = [real] if real else engine_command()
    profile = environment.get("ARRIERO_ENGINE_PROFILE", "")
    lines = [
        "#!/bin/sh",
        "# The server of local sites. It ends with the stage.",
        f"export ARRIERO_FOLLOW={os.getpid()}",
        *([f"export ARRIERO_ENGINE_PROFILE={shlex.quote(profile)}"] if profile else []),
        f'exec {shlex.join(command)} "$@"',
    ]
    _program(folder).write_text("\n".join(lines) + "\n")
    _program(folder).chmod(0o755)


def local_servers(folder: Path) -> tuple[ServerState, ...]:
    """The servers of local sites that were started in this rehearsal and still run."""
    states = state_home({"HOME": str(_home(folder))})
    return tuple(server for server in read_servers(states) if server.process.is_alive)


def end_local_servers(folder: Path) -> None:
    """The engine follows the stage by itself; a real Ollama does not."""
    for server in local_servers(folder):
        server.process.end(grace_seconds=2)


def _home(folder: Path) -> Path:
    return folder / "home"


def _program(folder: Path) -> Path:
    return folder / "ollama"
