"""A stage with one cloud of the test's own: two servers, no API. Run as a program: `bare_stage.py FOLDER`."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from arriero.rehearse.emulator import ContainerRow, Emulator, Fault
from arriero.rehearse.latency import Latency
from arriero.rehearse.processes import Processes, ServerSpec
from arriero.rehearse.serve import go_to_background, serve
from arriero.rehearse.tripwire import Tripwire


class BareCloud:
    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def start(self) -> None:
        for name in ("t1", "t2"):
            self._processes.start(ServerSpec(name, "ollama", "aws", "r", "i", (), {}))

    def stop(self) -> None:
        for server in self._processes.all():
            server.stop()

    def environment(self) -> Mapping[str, str]:
        return {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}

    def apply(self, fault: Fault) -> list[str]:
        hit = [server for server in self._processes.all() if server.spec.target == fault.target]
        for server in hit:
            server.kill()
        return [f"killed {server.spec.target}" for server in hit]

    def containers(self) -> list[ContainerRow]:
        return [
            ContainerRow(s.spec.target, s.spec.container, s.spec.cloud, s.spec.region, s.address, s.pid, s.engine)
            for s in self._processes.all()
        ]


def assemble(folder: Path, processes: Processes, latency: Latency, tripwire: Tripwire) -> Mapping[str, Emulator]:
    if (folder / "broken").exists():
        raise RuntimeError("the cloud fell down")
    time.sleep(0.05)  # so that two starts at once overlap
    return {"aws": BareCloud(processes)}


if __name__ == "__main__":
    go_to_background()
    serve(Path(sys.argv[1]), assemble)
