"""The life of one task, PROVISIONING to STOPPED, as its processes live it. Called by the reconciler only."""

from __future__ import annotations

import time
from concurrent.futures import Executor

from moto.core.utils import utcnow
from moto.iam.models import iam_backends

from arriero.rehearse.aws import files, images, kept, wording
from arriero.rehearse.aws.attaching import Attaching
from arriero.rehearse.aws.runtime import Around, RunningTask
from arriero.rehearse.aws.shipping import open_stream
from arriero.rehearse.aws.troubles import NoTroubles, Troubles
from arriero.rehearse.latency import Latency
from arriero.rehearse.probing import pace_of
from arriero.rehearse.processes import Processes

_SETTLE_SECONDS = 1.0  # without a health check, a task that runs so long has started


class TaskLife:
    def __init__(
        self,
        processes: Processes,
        latency: Latency,
        probes: Executor,
        attaching: Attaching,
        troubles: Troubles | None = None,
    ) -> None:
        self._troubles = troubles or NoTroubles()
        self._processes = processes
        self._latency = latency
        self._probes = probes
        self._attaching = attaching
        self._pace = pace_of(latency)

    def advance(self, run: RunningTask, now: float) -> None:
        """One look at the task: at most one step of its life. The world's lock is held."""
        state = run.task.last_status
        if run.task.is_stopping:
            self._stop(run, now)
        elif state == "PROVISIONING":
            self._provision(run, now)
        elif run.containers:
            self._watch(run, now)
        run.ship()

    def start_processes(self, run: RunningTask, agent_url: str, resolver: str = "") -> None:
        """Outside the world's lock: starting takes a while. An OSError here is the task's failure, and said so."""
        definition = run.task._backend.describe_task_definition(run.task.task_definition_arn)
        try:
            around = Around(f"{agent_url}/{run.task.id}", resolver)
            asked = run.waiting if run.containers else definition.container_definitions
            run.start(asked, self._processes, time.monotonic(), self._pace, around)
        except OSError as error:
            run.task.request_stop(f"CannotStartContainerError: {error}", "TaskFailedToStart")

    def _provision(self, run: RunningTask, now: float) -> None:
        task = run.task
        if task.needs_machine and not task.container_instance_arn:
            return
        problem = _what_fargate_misses(run)
        problem = problem or self._what_it_can_t_pull(run)
        if problem:
            task.request_stop(problem, "TaskFailedToStart")
            return
        if now >= run.due_at:
            task.give_address(self._processes.address(task.id))
            task.last_status = "PENDING"

    def _what_it_can_t_pull(self, run: RunningTask) -> str:
        is_lost, task = self._troubles.has_no_images, run.task
        if is_lost(task.region_name):
            return wording.no_image(task.containers[0].image)
        for container in task.containers:
            missing = images.what_an_image_misses(container.image, is_lost)
            if missing:
                return wording.no_image(container.image) if missing == "lost" else wording.absent(container.image)
        return ""

    def _watch(self, run: RunningTask, now: float) -> None:
        task = run.task
        if needed := run.failed_dependency():
            run.waiting.clear()
            code = run.exits()[needed]
            task.request_stop(wording.dependency_failed(needed, code), "TaskFailedToStart")
            self._stop(run, now)
            return
        if run.waiting:
            return
        if task.last_status == "PENDING":
            task.last_status, task.started_at = "RUNNING", utcnow()
            for container in task.containers:
                container.last_status = "RUNNING"
        exits = run.exits()
        for container in task.containers:
            if container.name in exits and container.last_status != "STOPPED":
                container.last_status, container.exit_code = "STOPPED", exits[container.name]
        if any(container.is_essential and container.name in exits for container in task.containers):
            task.request_stop(wording.EXITED, "EssentialContainerExited")
            self._stop(run, now)
            return
        self._check(run, now)

    def _check(self, run: RunningTask, now: float) -> None:
        task = run.task
        run.probe(now, self._probes)
        health = run.health()
        if health != task.health_status:
            task.health_status = health
            task.version += 1
        states = {container.name: container.health.status for container in run.containers if container.health}
        for container in task.containers:
            container.health_status = states.get(container.name, "UNKNOWN")
        is_up = health == "HEALTHY" or (not run.is_checked and now >= run.running_since + _SETTLE_SECONDS)
        if is_up and self._attaching.is_in_use(task):
            task.has_settled = True
        if group := self._attaching.failed_group(task, now - run.running_since):
            task.request_stop(wording.unhealthy_at(group), "ServiceSchedulerInitiated")

    def _stop(self, run: RunningTask, now: float) -> None:
        """Asks the processes to end, waits for them over the turns, then closes the record."""
        task = run.task
        if not self._attaching.is_let_go(task):
            if task.last_status != "DEACTIVATING":
                task.last_status = "DEACTIVATING"
            return
        run.warn()
        exits = run.exits()
        for container in task.containers:
            if container.name in exits:
                container.last_status, container.exit_code = "STOPPED", exits[container.name]
        if len(exits) < len(run.containers):
            # AWS's notice of a Spot interruption shows the task RUNNING, with STOPPED desired.
            if task.stop_code != "SpotInterruption" and task.last_status != "STOPPING":
                task.last_status = "STOPPING"
            return
        run.gone_at = run.gone_at or now
        if task.stop_code != "EssentialContainerExited" and now < run.gone_at + self._latency.seconds(
            "fargate.task_stop"
        ):
            return
        run.ship(final=True)
        task.end()


def _what_fargate_misses(run: RunningTask) -> str:
    """What makes Fargate give a task up before its containers start: a role or a log group that is not there."""
    task = run.task
    definition = task._backend.describe_task_definition(task.task_definition_arn)
    roles = iam_backends[task._account_id]["aws"].roles.values()
    role_arns = {role.arn for role in roles}
    for attribute in ("execution_role_arn", "task_role_arn"):
        wanted = getattr(definition, attribute, None)
        if wanted and wanted not in role_arns:
            return wording.cannot_assume(wanted)
    if problem := files.what_a_mount_misses(task, definition) or kept.what_a_secret_misses(task, definition):
        return problem
    for container in definition.container_definitions:
        if stream := open_stream(container, task.id, task._account_id, task.region_name):
            return wording.no_log_group(stream)
    return ""
