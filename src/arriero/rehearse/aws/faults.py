"""Faults on purpose: they reach servers by signals only, and clients by the API's answers only.

Who runs: callers of `play`, request threads that ask `answer`, and one thread that pulses slowed servers and ends what
is over. A lasting fault ends at its `until` (a freeze may be for good); kill and evict are done at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import ceil

from arriero.clock import Clock
from arriero.errors import Problem, Refused
from arriero.rehearse.aws import disasters, refusals, wording
from arriero.rehearse.aws.calls import Call
from arriero.rehearse.aws.disasters import DISASTERS
from arriero.rehearse.aws.reconciler import Reconciler
from arriero.rehearse.aws.refusals import Answer
from arriero.rehearse.aws.runtime import RunningTask
from arriero.rehearse.emulator import Fault
from arriero.rehearse.processes import Server

_PULSE_SECONDS = 0.1
_STOPPED_PULSES = 4  # of five: a slowed server has a fifth of its time


class Faults:
    def __init__(self, world: threading.RLock, clock: Clock, mounting: Callable[[], list[Server]] = lambda: []) -> None:
        """`mounting` tells the servers that have a file system mounted."""
        self._mounting = mounting
        self._slowed: list[Server] = []
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
        """Whether the region is cut off or gone: then its ECS does nothing either."""
        return self._is_active("refuse", region) or self._is_active("lose", region)

    def has_no_images(self, region: str) -> bool:
        """Whether the region's registry hands nothing out, and takes nothing in."""
        return self._is_active("no-images", region) or self._is_active("lose", region)

    def lost_subnets(self) -> frozenset[str]:
        """Those whose zone is gone."""
        now = self._clock.now().timestamp()
        return frozenset(f.target for f, _ in self._active if f.kind == "zone" and (f.until or 0) > now)

    def has_spot(self, region: str) -> bool:
        """Whether a Spot task can be placed there."""
        return not self._is_active("no-spot", region)

    def answer(self, call: Call) -> Answer | None:
        """What a fault of the call's region answers in place of AWS."""
        if self._is_skewed():
            return refusals.skewed(call)
        if not call.is_regional:
            return None
        if self.holds(call.region) or (call.service == "s3" and self._is_active("no-objects", call.region)):
            return refusals.unavailable(call)
        return refusals.throttled(call) if self._is_active("throttle", call.region) else None

    def play(self, fault: Fault, reconciler: Reconciler) -> list[str]:
        if fault.kind in DISASTERS:
            return self._disaster(fault, reconciler)
        tasks = [run for run in reconciler.running_in(fault.region) if fault.target in ("", run.task.id)]
        if fault.target and not tasks:
            known = ", ".join(run.task.id for run in reconciler.running_in(fault.region)) or "none runs"
            raise Refused(Problem(f"no task {fault.target} runs in {fault.region}", f"tasks there: {known}"))
        if fault.kind == "kill":
            return [_killed(run) for run in tasks]
        if fault.kind == "evict":
            return self._evict(fault, tasks)
        return self._begin(fault, [container.server for run in tasks for container in run.containers])

    def _disaster(self, fault: Fault, reconciler: Reconciler) -> list[str]:
        tasks, lines = reconciler.running_in(fault.region), []
        struck, fault = disasters.struck(fault, tasks)
        if fault.kind == "storm":
            with self._world:
                for run in struck:
                    run.task.request_stop(wording.SPOT, "SpotInterruption")
            return [f"told task {run.task.id} that its capacity goes (SIGTERM, then SIGKILL)" for run in struck]
        if fault.until is not None and fault.until <= self._clock.now().timestamp():
            return self._ended(fault)
        with self._lock:
            self._active.append((fault, []))
        lines = [_killed(run) for run in struck]
        self._busy.set()
        return [*lines, f"{fault.region}: {disasters.WORDS[fault.kind]}"]

    def _ended(self, fault: Fault) -> list[str]:
        with self._lock:
            self._active = [one for one in self._active if (one[0].kind, one[0].region) != (fault.kind, fault.region)]
        return [f"{fault.region}: {fault.kind} is over"]

    def _is_skewed(self) -> bool:
        """A clock is off for all regions alike."""
        now = self._clock.now().timestamp()
        return any(f.kind == "skew" and (f.until or 0) > now for f, _ in self._active)

    def _evict(self, fault: Fault, tasks: list[RunningTask]) -> list[str]:
        spot = [run for run in tasks if run.task.capacity_provider_name == "FARGATE_SPOT" and not run.task.is_stopping]
        spot = [run for run in spot if fault.zone in ("", run.task.availability_zone)]
        spot = spot[: ceil(len(spot) * fault.share)]
        with self._world:
            for run in spot:
                run.task.request_stop(wording.SPOT, "SpotInterruption")
        lines = [f"told task {run.task.id} that its Spot capacity goes (SIGTERM, then SIGKILL)" for run in spot]
        return lines or [f"no task of {fault.zone or fault.region} runs on FARGATE_SPOT: nothing was evicted"]

    def _begin(self, fault: Fault, servers: list[Server]) -> list[str]:
        if fault.kind == "freeze" and fault.until is None:
            _each(servers, Server.freeze)
            return [f"stopped {len(servers)} server(s) of {fault.region} for good (SIGSTOP)"]
        if fault.until is None or fault.until <= self._clock.now().timestamp():
            raise Refused(Problem(f"a fault of kind {fault.kind} needs an end in the future", "say how long it lasts"))
        touched = [] if fault.kind in ("throttle", "no-spot") else servers
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
                mounted = self._of_slow_storage()
                slowed += mounted
                _each([server for server in self._slowed if server not in mounted], Server.thaw)
                self._slowed = mounted
                if beat in (0, 1):
                    _each(slowed, Server.thaw if beat == 0 else Server.freeze)
                if not self._active and not self._ending.is_set():
                    self._busy.clear()
            self._ending.wait(_PULSE_SECONDS)

    def _of_slow_storage(self) -> list[Server]:
        """Also those that were started since."""
        regions = {fault.region for fault, _ in self._active if fault.kind == "slow-storage"}
        return [server for server in self._mounting() if server.spec.region in regions] if regions else []

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
    "no-spot": "{region} places no task on FARGATE_SPOT",
    "throttle": "{region} answers every call with 'Rate exceeded'",
}


def _killed(run: RunningTask) -> str:
    for container in run.containers:
        container.server.kill()
    return f"killed task {run.task.id} ({', '.join(str(c.server.pid) for c in run.containers)})"


def _each(servers: list[Server], do: Callable[[Server], None]) -> None:
    for server in servers:
        do(server)
