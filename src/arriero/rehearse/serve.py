"""The stage's own process: `python -m arriero.rehearse.serve FOLDER` goes to the background and serves that folder.

Who runs: the main thread waits for the end; each emulated cloud has threads of its own; one thread answers the command
line; one starts all server processes. It ends by request, by SIGTERM, or when its pid file is no longer its own (the
folder was removed); its servers end with it, whatever ends it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from arriero.clouds.local.process import find
from arriero.errors import Problem, Refused
from arriero.events import Json
from arriero.rehearse import surroundings
from arriero.rehearse.control import ControlServer
from arriero.rehearse.emulator import ContainerRow, Emulator, Fault
from arriero.rehearse.faults import play
from arriero.rehearse.gateway_door import GatewayDoor
from arriero.rehearse.latency import Latency
from arriero.rehearse.processes import Processes
from arriero.rehearse.tripwire import Crash, Tripwire

Assemble = Callable[[Path, Processes, Latency, Tripwire], Mapping[str, Emulator]]

ACCOUNTS = {"aws": "123456789012", "azure": "00000000-0000-0000-0000-000000000001"}
_LOOK_SECONDS = 0.5


def main() -> None:
    from arriero.rehearse.clouds import assemble

    go_to_background()
    serve(Path(sys.argv[1]), assemble)


def go_to_background() -> None:
    """Ends the caller's wait as soon as the pid file names the process that stays."""
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os.read(told, 1)
        os._exit(0)
    os.setsid()
    folder = Path(sys.argv[1])
    me = find(os.getpid())
    assert me is not None
    (folder / "pid.json").write_text(json.dumps(asdict(me)))
    os.close(told)
    os.close(tell)


def serve(folder: Path, assemble: Assemble) -> None:
    """Serves until it is told to stop; whatever fails on the way up is printed and ends it."""
    daemon = StageDaemon(folder, os.environ, assemble)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.ended.set())
    daemon.run()


@dataclass(frozen=True, slots=True)
class _Settings:
    latency: Latency

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> _Settings:
        scale = _number(environment, "ARRIERO_STAGE_LATENCY", "0", (0, 100), "1 plays the recorded latencies, 0 none")
        remedy = "60 is the real time; less makes the clouds' monitors and their scaling faster"
        minute = _number(environment, "ARRIERO_STAGE_MINUTE", "60", (0.2, 3600), remedy)
        return cls(Latency(scale, minute))


def _number(environment: Mapping[str, str], name: str, default: str, bounds: tuple[float, float], remedy: str) -> float:
    text = environment.get(name, default)
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not bounds[0] <= found <= bounds[1]:
        raise Refused(Problem(f"not a number from {bounds[0]:g} to {bounds[1]:g}", remedy, key=f"{name}={text}"))
    return found


class StageDaemon:
    """What the process holds, and its answers to the command line."""

    def __init__(self, folder: Path, environment: Mapping[str, str], assemble: Assemble) -> None:
        self.ended = threading.Event()
        self._folder = folder
        self._settings = _Settings.of(environment)
        surroundings.prepare(folder, environment)
        surroundings.end_local_servers(folder)  # those of a stage that was killed
        self._processes = Processes(folder, environment)
        self._tripwire = Tripwire()
        self._doors: list[GatewayDoor] = []
        self._emulators = assemble(folder, self._processes, self._settings.latency, self._tripwire)
        self._verbs: Mapping[str, Callable[[Mapping[str, Json]], Json]] = {
            "status": self._status,
            "containers": self._containers,
            "endpoints": self._endpoints,
            "fault": self._fault,
            "crash": self._crash,
            "tripped": self._tripped,
            "door": self._door,
        }

    def run(self) -> None:
        side_by_side([emulator.start for emulator in self._emulators.values()])
        control = ControlServer(self._folder, self._answer)
        control.start()
        while not self.ended.wait(_LOOK_SECONDS) and self._is_still_ours():
            pass
        for door in self._doors:
            door.stop()
        side_by_side([emulator.stop for emulator in self._emulators.values()])
        self._processes.close()
        control.stop()

    def _is_still_ours(self) -> bool:
        try:
            return bool(json.loads((self._folder / "pid.json").read_text())["pid"] == os.getpid())
        except (OSError, ValueError):
            return False

    def _answer(self, question: Mapping[str, Json]) -> Json:
        verb = self._verbs.get(str(question.get("verb")))
        if verb is None:
            raise Refused(
                Problem(f"the stage knows no {question.get('verb')!r}", "restart it: it runs another version")
            )
        return verb(question)

    def _status(self, _: Mapping[str, Json]) -> Json:
        return {"pid": os.getpid(), "block": self._processes.block, "latency_scale": self._settings.latency.scale}

    def _containers(self, _: Mapping[str, Json]) -> Json:
        rows = [row for emulator in self._emulators.values() for row in emulator.containers()]
        return [dict(asdict(row)) for row in [*rows, *self._local_rows()]]

    def _local_rows(self) -> list[ContainerRow]:
        engine = self._processes.engine
        return [
            ContainerRow(server.name, "ollama", "local", "", server.address, server.process.pid, engine)
            for server in surroundings.local_servers(self._folder)
        ]

    def _endpoints(self, _: Mapping[str, Json]) -> Json:
        variables: dict[str, Json] = {}
        for emulator in self._emulators.values():
            variables.update(emulator.environment())
        accounts: dict[str, Json] = {cloud: ACCOUNTS[cloud] for cloud in self._emulators if cloud in ACCOUNTS}
        return {"environment": variables, "accounts": accounts}

    def _fault(self, question: Mapping[str, Json]) -> Json:
        told = question["fault"]
        assert isinstance(told, dict)
        return list(play(Fault(**told), self._emulators, self._folder))  # type: ignore[arg-type]

    def _crash(self, question: Mapping[str, Json]) -> Json:
        told = question["crash"]
        assert isinstance(told, dict)
        self._tripwire.arm(Crash(**told))  # type: ignore[arg-type]
        return None

    def _tripped(self, _: Mapping[str, Json]) -> Json:
        return dict(asdict(self._tripwire.told()))

    def _door(self, question: Mapping[str, Json]) -> Json:
        door = GatewayDoor(str(question["to"]), self._folder / "requests.jsonl", self._tripwire)
        door.start()
        self._doors.append(door)
        return door.address


def side_by_side(calls: list[Callable[[], None]]) -> None:
    """Runs all at once; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(max(1, len(calls)), thread_name_prefix="emulator") as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()


if __name__ == "__main__":
    main()
