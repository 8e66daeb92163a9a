"""Brings the ECS of every region to what was asked: the part of AWS that moto leaves out.

One thread, a turn every 100 ms or sooner when a call wrote something. In a turn, under the world's lock: look at the
processes, decide each service (`deployment.decide`), change the records. Outside the lock: start processes, release
addresses; only this thread touches the `RunningTask`s. A region that a fault holds is left alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from moto.ecs.models import ecs_backends

from arriero.catalog import catalog
from arriero.clock import Clock
from arriero.rehearse.aws import cloud_map, firewalls, wording
from arriero.rehearse.aws.attaching import Attaching
from arriero.rehearse.aws.balancers import Balancers
from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.aws.machines import Machines
from arriero.rehearse.aws.managed_machines import ManagedMachines
from arriero.rehearse.aws.runtime import RunningTask
from arriero.rehearse.aws.scheduler import Scheduler
from arriero.rehearse.aws.task_life import TaskLife
from arriero.rehearse.aws.troubles import Troubles
from arriero.rehearse.latency import Latency
from arriero.rehearse.meter import Meter, Usage
from arriero.rehearse.processes import Processes

_TURN_SECONDS = 0.1
_METER_SECONDS = 0.5
_STOPPED_KEPT = 50
_ACCOUNT = "123456789012"
_LOG = logging.getLogger(__name__)


class Reconciler:
    """`is_held` says whether a region is cut off by a fault; `changed` is called when records changed. Tasks find their
    agent below `agent_url`, and ask the name server `resolver`.
    """

    def __init__(
        self,
        world: threading.RLock,
        processes: Processes,
        latency: Latency,
        is_held: Callable[[str], bool],
        changed: Callable[[], None],
        meter: Meter,
        clock: Clock,
        balancers: Balancers,
        attaching: Attaching,
        troubles: Troubles | None = None,
    ) -> None:
        self._world = world
        self._meter, self._clock = meter, clock
        self._metered_at = 0.0
        self._processes = processes
        self._is_held = is_held
        self._changed = changed
        self._running: dict[str, RunningTask] = {}
        self._probes = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe of containers")
        self._balancers, self._attaching = balancers, attaching
        self._life = TaskLife(processes, latency, self._probes, attaching, troubles)
        self._scheduler = Scheduler(self._running, latency, troubles)
        self._machines, self._managed = Machines(latency), ManagedMachines(latency)
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler of the emulated ECS", daemon=True)
        self._last_error = ""
        self.agent_url = self.resolver = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; processes that still run are the caller's to end."""
        self._ending.set()
        self._wake.set()
        self._thread.join()
        self._probes.shutdown(wait=False, cancel_futures=True)

    def wake(self) -> None:
        self._wake.set()

    def lose_all_tasks(self) -> None:
        """After a restart no process of before runs: their tasks are stopped as tasks of a lost host are."""
        for backend in self._regions():
            for service in backend.services.values():
                service.retry_at = 0.0  # seconds of a clock that began anew
            for tasks in backend.tasks.values():
                for task in tasks.values():
                    if task.last_status != "STOPPED":
                        task.request_stop(wording.HOST_GONE, "TerminationNotice")
                        task.end()
                        self._processes.release(task.id)

    def find(self, name: str) -> StageTask | None:
        running = self.task(name)
        return running.task if running else None

    def task(self, name: str) -> RunningTask | None:
        return next((running for running in list(self._running.values()) if running.task.id == name), None)

    def running_in(self, region: str) -> list[RunningTask]:
        return [running for running in list(self._running.values()) if running.task.region_name == region]

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._turn()
                self._last_error = ""
            except Exception as error:  # noqa: BLE001 - a turn must not end the thread
                self._complain(error)
            self._wake.wait(_TURN_SECONDS)
            self._wake.clear()

    def _turn(self) -> None:
        now = time.monotonic()
        with self._world:
            before = self._version()
            self._balancers.settle()
            ended = [name for backend in self._free_regions() for name in self._one_region(backend, now)]
            to_start = [
                run
                for run in self._running.values()
                if run.task.last_status == "PENDING" and (run.waiting or not run.containers)
            ]
        if self._processes.is_apart:
            self._guard()
        for run in to_start:
            self._life.start_processes(run, self.agent_url, self.resolver)
        for name in ended:
            self._processes.release(name)
        if now - self._metered_at >= _METER_SECONDS:
            self._metered_at = now
            tasks = [_usage(r.task) for r in self._running.values() if r.containers and not r.task.needs_machine]
            machines = [usage for backend in self._regions() for usage in self._machines.usages(backend)]
            self._meter.tick(self._clock.now(), [*tasks, *machines, *self._balancers.usages()])
        if self._version() != before:
            self._changed()

    def _guard(self) -> None:
        """Has targets and load balancers let in whom their security groups do."""
        with self._world:
            for run in [each for each in self._running.values() if each.containers]:
                is_public = self._attaching.has_public_address(run.task)
                found = firewalls.rules_of_address(run.task.region_name, run.task.address, has_public_address=is_public)
                self._processes.guard(run.task.id, tuple(found))
            self._balancers.guard()

    def _one_region(self, backend: StageEcsBackend, now: float) -> list[str]:
        """Returns the ids of tasks that have ended in this turn."""
        self._adopt(backend, now)
        mine = [run for run in self._running.values() if run.task.region_name == backend.region_name]
        for run in mine:
            self._life.advance(run, now)
        ended = [run for run in mine if run.task.last_status == "STOPPED"]
        for run in ended:
            del self._running[run.task.task_arn]
            self._scheduler.note_end(backend, run, now)
        for service in list(backend.services.values()):
            if service.status != "INACTIVE":
                self._scheduler.reconcile(backend, service, now)
        self._machines.settle(backend, now)
        self._managed.settle(backend, now)
        self._attaching.settle(backend)
        cloud_map.settle(backend)
        self._scheduler.count(backend)
        self._forget(backend)
        return [run.task.id for run in ended]

    def _adopt(self, backend: StageEcsBackend, now: float) -> None:
        """Tasks that RunTask made."""
        for tasks in backend.tasks.values():
            for task in tasks.values():
                if task.last_status != "STOPPED" and task.task_arn not in self._running:
                    self._running[task.task_arn] = RunningTask(task, due_at=now)

    def _forget(self, backend: StageEcsBackend) -> None:
        """AWS shows stopped tasks for about an hour; here the last fifty of a cluster."""
        for tasks in backend.tasks.values():
            stopped = [arn for arn, task in tasks.items() if task.last_status == "STOPPED"]
            for arn in stopped[:-_STOPPED_KEPT]:
                del tasks[arn]

    def _regions(self) -> list[StageEcsBackend]:
        return cast(list[StageEcsBackend], list(ecs_backends[_ACCOUNT].values()))

    def _free_regions(self) -> list[StageEcsBackend]:
        return [backend for backend in self._regions() if not self._is_held(backend.region_name)]

    def _version(self) -> tuple[int, ...]:
        """Changes whenever a task or an event did."""
        return tuple(
            number
            for backend in self._regions()
            for number in (
                *(task.version for tasks in backend.tasks.values() for task in tasks.values()),
                *(hash((s.status, s.events[0]["id"] if s.events else "")) for s in backend.services.values()),
                *(hash(name) for machines in backend.container_instances.values() for name in machines),
            )
        )

    def _complain(self, error: Exception) -> None:
        """The same error is logged once, not ten times a second."""
        if repr(error) != self._last_error:
            self._last_error = repr(error)
            _LOG.error("a turn of the emulated ECS failed", exc_info=error)


def _usage(task: StageTask) -> Usage:
    """What Fargate bills of it: what the task asks for, and of its storage what is not included."""
    tags = {tag["key"]: tag["value"] for tag in task.tags or []}
    definition = task._backend.describe_task_definition(task.task_definition_arn)
    disk = (getattr(definition, "ephemeral_storage", None) or {}).get("sizeInGiB", 0)
    kind = "fargate.spot" if task.capacity_provider_name == "FARGATE_SPOT" else "fargate"
    items = {f"{kind}.vcpu": int(task.cpu) / 1024, f"{kind}.memory": int(task.memory) / 1024}
    extra = max(0, int(disk) - catalog.fargate_limits().storage_included_gib)
    return Usage(task.region_name, tags, {**items, **({"fargate.storage": float(extra)} if extra else {})})
