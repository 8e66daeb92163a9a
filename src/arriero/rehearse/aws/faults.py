"""Faults on purpose: they reach servers by signals only, and clients by the API's answers only.

Who runs: callers of `play`, request threads that ask `answer`, and one thread that pulses slowed servers and ends what
is over. A lasting fault ends at its `until` (a freeze may be for good); kill and evict are done at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from arriero.clock import Clock
from arriero.errors import Problem, Refused
from arriero.rehearse.aws import refusals, wording
from arriero.rehearse.aws.calls import Call
from arriero.rehearse.aws.reconciler import Reconciler
from arriero.rehearse.aws.refusals import Answer
from arriero.rehearse.aws.runtime import RunningTask
from arriero.rehearse.emulator import Fault
from arriero.rehearse.processes import Server

_PULSE_SECONDS = 0.1
_STOPPED_PULSES = 4  # of five: a slowed server has a fifth of its time


class Faults:
    def __init__(self, world: threading.RLock, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._active: list[tuple[Fault, list[Server]]] = []
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._busy = threading.Event()
        self._thread = threading.Thread(target=self._pulse, name="faults of the emulated AWS", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._busy.set()
        self._thread.join()
        with self._lock:
            for _, servers in self._active:
                _each(servers, Server.thaw)
            self._active.clear()

    def holds(self, region: str) -> bool:
        """Whether the region is cut off: then its ECS does nothing either."""
        return self._is_active("refuse", region)

    def answer(self, call: Call) -> Answer | None:
        """What a fault of the call's region answers in place of AWS."""
        if not call.is_regional:
            return None
        if self._is_active("refuse", call.region):
            return refusals.unavailable(call)
        return refusals.throttled(call) if self._is_active("throttle", call.region) else None

    def play(self, fault: Fault, reconciler: Reconciler) -> list[str]:
        tasks = [run for run in reconciler.running_in(fault.region) if fault.target in ("", run.task.id)]
        if fault.target and not tasks:
            known = ", ".join(run.task.id for run in reconciler.running_in(fault.region)) or "none runs"
            raise Refused(Problem(f"no task {fault.target} runs in {fault.region}", f"tasks there: {known}"))
        if fault.kind == "kill":
            return [_killed(run) for run in tasks]
        if fault.kind == "evict":
            return self._evict(fault, tasks)
        return self._begin(fault, [container.server for run in tasks for container in run.containers])

    def _evict(self, fault: Fault, tasks: list[RunningTask]) -> list[str]:
        spot = [run for run in tasks if run.task.capacity_provider_name == "FARGATE_SPOT"]
        with self._world:
            for run in spot:
                run.task.request_stop(wording.SPOT, "SpotInterruption")
        lines = [f"told task {run.task.id} that its Spot capacity goes (SIGTERM, then SIGKILL)" for run in spot]
        return lines or [f"no task of {fault.region} runs on FARGATE_SPOT: nothing was evicted"]

    def _begin(self, fault: Fault, servers: list[Server]) -> list[str]:
        if fault.kind == "freeze" and fault.until is None:
            _each(servers, Server.freeze)
            return [f"stopped {len(servers)} server(s) of {fault.region} for good (SIGSTOP)"]
        if fault.until is None or fault.until <= self._clock.now().timestamp():
            raise Refused(Problem(f"a fault of kind {fault.kind} needs an end in the future", "say how long it lasts"))
        touched = [] if fault.kind == "throttle" else servers
        if fault.kind in ("freeze", "refuse"):
            _each(touched, Server.freeze)
        with self._lock:
            self._active.append((fault, touched))
        self._busy.set()
        return [_SAID[fault.kind].format(region=fault.region, count=len(touched))]

    def _is_active(self, kind: str, region: str) -> bool:
        now = self._clock.now().timestamp()
        return any(f.kind == kind and f.region == region and (f.until or 0) > now for f, _ in self._active)

    def _pulse(self) -> None:
        beat = 0
        while not self._ending.is_set():
            self._busy.wait()
            beat = (beat + 1) % (_STOPPED_PULSES + 1)
            with self._lock:
                self._end_what_is_over()
                slowed = [server for fault, servers in self._active if fault.kind == "slow" for server in servers]
                if beat in (0, 1):
                    _each(slowed, Server.thaw if beat == 0 else Server.freeze)
                if not self._active and not self._ending.is_set():
                    self._busy.clear()
            self._ending.wait(_PULSE_SECONDS)

    def _end_what_is_over(self) -> None:
        now = self._clock.now().timestamp()
        over = [entry for entry in self._active if (entry[0].until or 0) <= now]
        self._active = [entry for entry in self._active if entry not in over]
        for _, servers in over:
            _each(servers, Server.thaw)


_SAID = {
    "freeze": "stopped {count} server(s) of {region} (SIGSTOP)",
    "slow": "{count} server(s) of {region} get a fifth of their time",
    "refuse": "{region} answers no call, and {count} server(s) there are stopped",
    "throttle": "{region} answers every call with 'Rate exceeded'",
}


def _killed(run: RunningTask) -> str:
    for container in run.containers:
        container.server.kill()
    return f"killed task {run.task.id} ({', '.join(str(c.server.pid) for c in run.containers)})"


def _each(servers: list[Server], do: Callable[[Server], None]) -> None:
    for server in servers:
        do(server)
