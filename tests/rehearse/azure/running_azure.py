"""A running emulated Azure on real server processes, and the ways to speak to it."""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arriero.clouds.endpoints import Endpoints, sealed
from arriero.rehearse.azure.emulator import AzureEmulator
from arriero.rehearse.latency import Latency
from arriero.rehearse.processes import Processes


@dataclass
class Azure:
    folder: Path
    processes: Processes
    emulator: AzureEmulator

    def environment(self) -> dict[str, str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return sealed(os.environ, {**self.emulator.environment(), "HOME": str(home)})

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        with Endpoints("the test", self.environment()).entered():
            yield

    def restart(self) -> None:
        """As if the stage had ended and come back on the same port."""
        port = self.emulator.port
        self.close()
        self.processes = Processes(self.folder, {"PATH": "/nowhere"})
        self.emulator = AzureEmulator(self.folder, self.processes, Latency(0), port)
        self.emulator.start()

    def close(self) -> None:
        self.emulator.stop()
        self.processes.close()


def eventually(read: Callable[[], Any], seconds: float = 10) -> Any:
    """The first true value that `read` gives."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := read():
            return value
        time.sleep(0.02)
    value = read()
    assert value, f"still {value!r} after {seconds} s"
    return value


def container(name: str = "ollama", image: str = "acme/llm:1", **rest: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": 1, "memoryInGB": 2}}
    return {"name": name, "properties": {"image": image, "resources": resources, "ports": [{"port": 11434}], **rest}}


def group(*containers: dict[str, Any], location: str = "eastus", tags: Any = None, **rest: Any) -> dict[str, Any]:
    address = {"type": "Public", "ports": [{"port": 11434, "protocol": "TCP"}]}
    properties = {"osType": "Linux", "containers": list(containers) or [container()], "ipAddress": address, **rest}
    return {"location": location, "tags": tags or {}, "properties": properties}


def patched(body: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The body with values set in its properties, by JSON pointer; where there is none, the member is taken out."""
    result = copy.deepcopy(body)
    for pointer, value in patch.items():
        *way, last = [int(part) if part.isdigit() else part for part in pointer.strip("/").split("/")]
        place: Any = result["properties"]
        for part in way:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return result
