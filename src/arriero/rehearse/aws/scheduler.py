"""The service scheduler: turns the decisions of `deployment.py` into tasks, events and rollout states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from arriero.rehearse.aws import wording
from arriero.rehearse.aws.capacity import in_order, next_provider
from arriero.rehearse.aws.deployment import Decision, Phase, TaskView, decide
from arriero.rehearse.aws.disasters import subnet_of
from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_service import StageService
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.aws.runtime import RunningTask
from arriero.rehearse.aws.troubles import NoTroubles, Troubles
from arriero.rehearse.latency import Latency

# ECS waits longer after each failed start, up to 15 minutes; here a fraction of that.
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 5.0
# Where there is no capacity ECS tries again and again, and says so each time.
_NO_CAPACITY_SECONDS = 3.0


class Scheduler:
    """`running` is the reconciler's table of tasks, by ARN; launched ones are added to it."""

    def __init__(self, running: dict[str, RunningTask], latency: Latency, troubles: Troubles | None = None) -> None:
        self._running = running
        self._troubles = troubles or NoTroubles()
        self._latency = latency

    def reconcile(self, backend: StageEcsBackend, service: StageService, now: float) -> None:
        tasks = [task for task in backend.tasks_of(service) if task.last_status != "STOPPED"]
        self._replace_unhealthy(service, tasks)
        view = service.view(tuple(map(_view, tasks)), may_launch=now >= service.retry_at)
        decision = decide(view)
        self._carry_out(backend, service, decision, now)
        self._settle(service, tasks)
        self._update_counts(service, [task for task in backend.tasks_of(service) if task.last_status != "STOPPED"])
        if service.status == "DRAINING" and not tasks:
            service.status = "INACTIVE"

    def note_end(self, backend: StageEcsBackend, run: RunningTask, now: float) -> None:
        """A task has stopped: if it never got up, its deployment has failed once more, and the next start waits."""
        task = run.task
        service = backend.services.get(f"{task.cluster_name}:{task.service_name}")
        if service is None or task.has_settled or not _is_failure(task):
            return
        deployment = next((d for d in service.deployments if d["id"] == task.deployment), None)
        if deployment is not None and deployment["rolloutState"] == "IN_PROGRESS":
            deployment["failedTasks"] += 1
        service.failures_in_a_row += 1
        wait = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** (service.failures_in_a_row - 1))
        service.retry_at = now + wait
        if task.stop_code == "TaskFailedToStart":
            service.tell(wording.cannot_launch(service.name, task.stopped_reason), once=task.stopped_reason[:60])
        if service.failures_in_a_row >= 3:
            service.tell(wording.inconsistent(service.name), once="inconsistent")

    def count(self, backend: StageEcsBackend) -> None:
        """The figures that DescribeClusters shows."""
        for cluster in backend.clusters.values():
            tasks = list(backend.tasks.get(cluster.name, {}).values())
            cluster.running_tasks_count = sum(task.last_status == "RUNNING" for task in tasks)
            cluster.pending_tasks_count = sum(task.last_status in ("PROVISIONING", "PENDING") for task in tasks)
            services = [service for service in backend.services.values() if service.cluster_name == cluster.name]
            cluster.active_services_count = sum(service.status == "ACTIVE" for service in services)

    def _carry_out(self, backend: StageEcsBackend, service: StageService, decision: Decision, now: float) -> None:
        if decision.verdict == "FAILED":
            service.primary_failed(decision.roll_back_to)
        if decision.verdict == "COMPLETED":
            service.primary_completed()
        if decision.is_stuck:
            service.tell(wording.stuck(service.name), once="stuck")
        if decision.stop:
            stopping = set(decision.stop)
            for task in backend.tasks_of(service):
                if task.id in stopping:
                    task.request_stop(wording.scaling(service.deployments[0]["id"]), "ServiceSchedulerInitiated")
            service.tell(wording.stopped(service.name, decision.stop))
        launched = self._launch_some(backend, service, decision.launch, now)
        if launched:
            service.tell(wording.started(service.name, [task.id for task in launched]))
        if decision.stop or launched:
            service.is_steady = False

    def _launch_some(self, backend: StageEcsBackend, service: StageService, count: int, now: float) -> list[StageTask]:
        """As many as there is capacity for; each missing one keeps its place in the mix."""
        live = [task for task in backend.tasks_of(service) if not task.is_stopping]
        mix = Counter(task.capacity_provider_name or "" for task in live)
        launched = []
        for _ in range(count):
            provider = next_provider(service.capacity_provider_strategy or [], mix)
            mix[provider] += 1
            if provider != "FARGATE_SPOT" or self._troubles.has_spot(backend.region_name):
                launched.append(self._launch(backend, service, provider, now))
        if len(launched) < count:
            service.tell(wording.no_capacity(service.name))
            service.retry_at = now + _NO_CAPACITY_SECONDS
        return launched

    def _launch(self, backend: StageEcsBackend, service: StageService, provider: str, now: float) -> StageTask:
        primary = service.deployments[0]
        cluster = backend.clusters[service.cluster_name]
        live = [task for task in backend.tasks_of(service) if not task.is_stopping]
        lost = self._troubles.lost_subnets()
        definition = backend.describe_task_definition(primary["taskDefinition"])
        propagated = {"SERVICE": service.tags, "TASK_DEFINITION": definition.tags}.get(service.propagate_tags, [])
        task = StageTask(
            cluster,
            definition,
            None,
            backend._calculate_task_resource_requirements(definition),
            backend,
            f"service:{service.name}",
            launch_type=backend.kind_of(provider) if provider else service.launch_type or "",
            started_by=primary["id"],
            tags=list(propagated or []),
            networking_configuration=_spread(service.network_configuration, live, provider, lost),
            capacity_provider_name=provider or None,
        )
        task.deployment, task.service_name = primary["id"], service.name
        backend.tasks.setdefault(cluster.name, {})[task.task_arn] = task
        wait = 0.0 if task.needs_machine else self._latency.seconds("fargate.task_start")
        self._running[task.task_arn] = RunningTask(task, due_at=now + wait)
        return task

    def _replace_unhealthy(self, service: StageService, tasks: list[StageTask]) -> None:
        for task in tasks:
            if task.health_status == "UNHEALTHY" and not task.is_stopping:
                service.tell(wording.unhealthy(service.name, task.id))
                task.request_stop(wording.UNHEALTHY, "ServiceSchedulerInitiated")

    def _settle(self, service: StageService, tasks: list[StageTask]) -> None:
        up = [task for task in tasks if task.has_settled and not task.is_stopping]
        primary = service.deployments[0]
        if any(task.deployment == primary["id"] for task in up):
            service.failures_in_a_row, service.retry_at = 0, 0.0
            if primary["rolloutState"] == "IN_PROGRESS":
                primary["failedTasks"] = 0
        if primary["rolloutState"] == "COMPLETED" and len(up) == service.desired_count and not service.is_steady:
            service.is_steady = True
            service.tell(wording.steady(service.name))

    def _update_counts(self, service: StageService, tasks: list[StageTask]) -> None:
        live = [task for task in tasks if task.last_status != "STOPPING"]
        for deployment in service.deployments:
            mine = [task for task in live if task.deployment == deployment["id"]]
            running = sum(task.last_status == "RUNNING" for task in mine)
            wanted = service.desired_count if deployment["status"] == "PRIMARY" else 0
            deployment.update(desiredCount=wanted, runningCount=running, pendingCount=len(mine) - running)
        service.deployments = [d for d in service.deployments if d["status"] == "PRIMARY" or _is_shown(d, service)]
        service.running_count = sum(task.last_status == "RUNNING" for task in live)
        service.pending_count = len(live) - service.running_count


def _is_failure(task: StageTask) -> bool:
    ended_by_itself = task.stop_code in ("EssentialContainerExited", "TaskFailedToStart")
    said = task.stopped_reason or ""
    return ended_by_itself or said == wording.UNHEALTHY or said.startswith(wording.unhealthy_at("")[:-1])


def _is_shown(deployment: dict[str, Any], service: StageService) -> bool:
    """A former deployment is over when it has no tasks; a failed one stays until the way back is complete."""
    if deployment["rolloutState"] == "FAILED" and service.deployments[0]["rolloutState"] == "IN_PROGRESS":
        return True
    return bool(deployment["runningCount"] or deployment["pendingCount"])


def _view(task: StageTask) -> TaskView:
    phase: Phase = "stopping" if task.is_stopping else "up" if task.has_settled else "starting"
    return TaskView(task.id, task.deployment, phase, task.is_protected)


def _spread(
    network: dict[str, Any], live: Sequence[StageTask], provider: str, lost: Collection[str]
) -> dict[str, Any] | None:
    """The service's network with the subnet first that the next task goes to: Fargate spreads each kind of capacity
    over zones, and a zone that is gone takes none.
    """
    if not network or not network.get("awsvpcConfiguration", {}).get("subnets"):
        return network or None
    wanted = network["awsvpcConfiguration"]
    alike = [subnet_of(task) for task in live if (task.capacity_provider_name or "") == provider]
    order = in_order(wanted["subnets"], alike, [subnet_of(task) for task in live], lost)
    return {**network, "awsvpcConfiguration": {**wanted, "subnets": order}}
