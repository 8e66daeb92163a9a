"""Faults on purpose: handed to the emulated cloud they are for; those of local servers are played here, by signals."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from arriero.clouds.local.state import ServerState
from arriero.errors import Problem, Refused
from arriero.rehearse.emulator import Emulator, Fault
from arriero.rehearse.surroundings import local_servers


def play(fault: Fault, emulators: Mapping[str, Emulator], folder: Path) -> list[str]:
    """Plays it; returns what was done, one line each. Raises Refused where nothing can be done."""
    if fault.cloud == "local":
        return _play_on_local_servers(fault, folder)
    emulator = emulators.get(fault.cloud)
    if emulator is None:
        raise Refused(Problem(f"the stage has no cloud {fault.cloud}", f"choose from {', '.join(emulators)}, local"))
    return emulator.apply(fault)


def _play_on_local_servers(fault: Fault, folder: Path) -> list[str]:
    how = _LOCAL.get(fault.kind)
    if how is None:
        kinds = ", ".join(_LOCAL)
        raise Refused(Problem(f"a local site has no API to {fault.kind}", f"choose from {kinds}", key="--kind"))
    servers = [s for s in local_servers(folder) if fault.target in ("", s.name)]
    if not servers:
        raise Refused(Problem(f"no local server {fault.target} runs".replace("  ", " "), "see: arriero status"))
    return [how(server, fault.until) for server in servers]


def _kill(server: ServerState, _: float | None) -> str:
    server.process.signal(signal.SIGKILL)
    return f"killed {server.name}, pid {server.process.pid}"


def _freeze(server: ServerState, until: float | None) -> str:
    server.process.signal(signal.SIGSTOP)
    if until is None:
        return f"froze {server.name}, pid {server.process.pid}, for good"
    thaw = threading.Timer(max(0.0, until - time.time()), server.process.signal, [signal.SIGCONT])
    thaw.daemon = True
    thaw.start()
    return f"froze {server.name}, pid {server.process.pid}, for {until - time.time():.0f} s"


def _evict(server: ServerState, _: float | None) -> str:
    server.process.signal(signal.SIGTERM)
    return f"sent SIGTERM to {server.name}, pid {server.process.pid}"


_LOCAL: Mapping[str, Callable[[ServerState, float | None], str]] = {"kill": _kill, "freeze": _freeze, "evict": _evict}
