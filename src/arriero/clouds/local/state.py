"""The local servers' state files, as the module `arriero.fleet.server` writes them: one a server.

`<state home>/arriero/<service>/<site>/<name>.json`, state home being $XDG_STATE_HOME or ~/.local/state. A file
alone says what was started; whether it still runs is asked of /proc.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from arriero.clouds.local.process import Process
from arriero.errors import CloudError, Problem


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server that was started here; clients find it at `address` (`host:port`). `process` is Ollama's own, `beside`
    its sidecar's, if it has one; `sidecar` is that one's environment.
    """

    name: str
    address: str
    command: tuple[str, ...]
    tags: Mapping[str, str]
    process: Process
    log: str
    host: str
    stop_seconds: int
    file: Path
    beside: Process | None = None
    environment: Mapping[str, str] = field(repr=False, default_factory=dict)
    sidecar: Mapping[str, str] | None = None

    @property
    def is_alive(self) -> bool:
        """Both processes run: one without the other serves nobody."""
        return self.process.is_alive and (self.beside is None or self.beside.is_alive)


def state_home(environment: Mapping[str, str]) -> Path:
    """Where servers' states and logs are kept for the user of `environment`."""
    home = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".local/state")
    return Path(home) / "arriero"


def read_servers(folder: Path) -> tuple[ServerState, ...]:
    """The servers of a site's folder, or of every folder below one, by name."""
    return tuple(sorted((_read(file) for file in folder.rglob("*.json")), key=lambda server: server.name))


def site_folder(service: str, site: str) -> Path:
    return state_home(os.environ) / service / site


def _read(file: Path) -> ServerState:
    try:
        data = json.loads(file.read_text())
        return ServerState(
            name=data["name"],
            address=data["address"],
            command=tuple(data["command"]),
            tags=data["tags"],
            process=Process(data["pid"], data["started"]),
            log=data["log"],
            host=data["host"],
            stop_seconds=data["stop_seconds"],
            file=file,
            environment=data["environment"],
            beside=Process(**data["beside"]) if data.get("beside") else None,
            sidecar=data.get("sidecar", {}).get("environment"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = Problem(f"the server's state cannot be read: {error!r}", "remove the file", file=str(file))
        raise CloudError(file.parent.name, problem) from error
