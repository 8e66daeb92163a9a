"""How busy a target of the stage is: what the clouds' monitors would measure, read from its own processes.

Processors: what the kernel counted for its processes, of what the target was given. An engine that is simulated sleeps
where a real one would reckon, so there the slots that its sidecar says are taken count, if that is more. Memory: what
is resident of its processes, and of a simulated engine the models that it says are in memory.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from arriero.gateway.words.told import STATE_PATH, Told, read
from arriero.plan.wanted.sidecar import NAME as SIDECAR
from arriero.rehearse.processes import Server

_ANSWER_SECONDS = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Measured:
    """Percent of the processors and of the memory that a target was given."""

    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class Measurable:
    """A target with the processes of its containers."""

    name: str
    servers: tuple[Server, ...]
    vcpus: float
    memory_bytes: float


@dataclass
class Gauge:
    """Between two rounds it remembers what processes had used."""

    _before: dict[int, tuple[float, float]] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(8, thread_name_prefix="gauge of targets")
    )

    def measure(self, targets: Sequence[Measurable]) -> Mapping[str, Measured]:
        """By name; one that runs no more is left out."""
        alive = [target for target in targets if any(server.poll() is None for server in target.servers)]
        told = dict(zip((t.name for t in alive), self._threads.map(_told, alive), strict=True))
        used = _used({server.pid for target in alive for server in target.servers})
        now = time.monotonic()
        found = {target.name: self._one(target, told[target.name], used, now) for target in alive}
        self._before = {pid: (seconds, now) for pid, (seconds, _) in used.items()}
        return found

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _one(
        self, target: Measurable, told: Told | None, used: Mapping[int, tuple[float, float]], now: float
    ) -> Measured:
        busy, resident = 0.0, 0.0
        for server in target.servers:
            seconds, size = used.get(server.pid, (0.0, 0.0))
            before, at = self._before.get(server.pid, (seconds, now))
            busy += (seconds - before) / (now - at) if now > at else 0.0
            resident += size
        cpu = busy / target.vcpus
        if told is not None and any(server.engine == "simulated" for server in target.servers):
            cpu = max(cpu, told.in_flight / told.slots)
            resident += sum(float(model.get("size") or 0) for model in (told.resident or {}).values())
        return Measured(100 * min(1.0, cpu), 100 * min(1.0, resident / target.memory_bytes))


def _told(target: Measurable) -> Told | None:
    """The first line that the target's sidecar says of itself; None where there is none, or no answer."""
    beside = next((server for server in target.servers if server.spec.container == SIDECAR), None)
    if beside is None:
        return None
    connection = http.client.HTTPConnection(
        beside.address, beside.spec.port, timeout=_ANSWER_SECONDS, source_address=beside.asker
    )
    try:
        connection.request("GET", STATE_PATH)
        return read(connection.getresponse().readline())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _used(leaders: Collection[int]) -> Mapping[int, tuple[float, float]]:
    """Seconds of a processor and resident bytes by session, of which each container has one."""
    found: dict[int, tuple[float, float]] = {}
    for fields in _processes():
        session = int(fields[3])
        if session in leaders:
            seconds, size = found.get(session, (0.0, 0.0))
            ticks = int(fields[11]) + int(fields[12])
            found[session] = (seconds + ticks / _TICKS, size + int(fields[21]) * _PAGE)
    return found


def _processes() -> Iterable[list[str]]:
    """What stands behind the name in each `/proc/N/stat`: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it has just ended
            yield text.rpartition(")")[2].split()
