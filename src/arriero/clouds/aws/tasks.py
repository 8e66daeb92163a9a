"""A site's ECS tasks as targets: state, address, release, and why one stopped."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from arriero.clouds.aws import ecs as ecs_facts
from arriero.plan.model import RELEASE_TAG, SiteRef, TargetFacts, TargetState
from arriero.plan.wanted.aws_task import CONTAINER, PORT

Found = Mapping[str, Any]

# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
STATES: Mapping[str, TargetState] = {
    "PROVISIONING": "starting",
    "PENDING": "starting",
    "ACTIVATING": "starting",
    "DEACTIVATING": "draining",
    "STOPPING": "draining",
    "DEPROVISIONING": "draining",
    "STOPPED": "stopped",
    "DELETED": "stopped",
}
# In a task's startedBy: it runs on demand in the place of Spot, and belongs to no service.
STANDS_IN = "arriero-stand-in"
STOPPED_SHOWN = 3  # ECS remembers stopped tasks for an hour; the latest ones tell what is wrong
_AT_ONCE = 100  # as many as DescribeTasks takes


def read(ecs: Any, ref: SiteRef, pool: Executor) -> tuple[TargetFacts, ...]:
    """Running tasks, those that are stopping, and the latest that stopped; none where there is no cluster."""
    name = f"{ref.service}-{ref.site}"
    running, ending = pool.map(lambda status: _list(ecs, name, status), ("RUNNING", "STOPPED"))
    arns = [*running, *ending]
    pages = [arns[start : start + _AT_ONCE] for start in range(0, len(arns), _AT_ONCE)]
    answers = [ecs.describe_tasks(cluster=name, tasks=page, include=["TAGS"])["tasks"] for page in pages]
    tasks = [task for answer in answers for task in answer if _is_a_target(task, name)]
    stopped = sorted((task for task in tasks if _state(task) == "stopped"), key=_ended, reverse=True)
    shown = [*(task for task in tasks if _state(task) != "stopped"), *stopped[:STOPPED_SHOWN]]
    return tuple(_target(ecs, ref, task) for task in sorted(shown, key=lambda task: str(task["taskArn"])))


def _is_a_target(task: Found, name: str) -> bool:
    """Not the job that fills a storage, which runs in the same cluster."""
    return task.get("startedBy") == STANDS_IN or ecs_facts.is_ours(_service(task, name), name)


def _list(ecs: Any, name: str, status: str) -> list[str]:
    """Tasks with this *desired* status, of all services: one that is still stopping is only among the STOPPED."""
    pages = ecs.get_paginator("list_tasks").paginate(cluster=name, desiredStatus=status)
    try:
        return [arn for page in pages for arn in page["taskArns"]]
    except ecs.exceptions.ClusterNotFoundException:
        return []


def _target(ecs: Any, ref: SiteRef, task: Found) -> TargetFacts:
    state = _state(task)
    address = _address(task)
    return TargetFacts(
        id=task["taskArn"].rpartition("/")[2],
        site=ref.site,
        state=state,
        address=f"{address}:{PORT}" if address and state != "stopped" else "",
        release=_release(ecs, task["taskDefinitionArn"]),
        resource=_service(task, f"{ref.service}-{ref.site}"),
        reason=_reason(task) if state in ("stopped", "draining") else "",
        is_spot=task.get("capacityProviderName") == "FARGATE_SPOT",
        stands_in=task.get("startedBy") == STANDS_IN,
        zone=str(task.get("availabilityZone") or ""),
    )


def _service(task: Found, base: str) -> str:
    """The service that started it, as its group says."""
    return str(task.get("group") or f"service:{base}").removeprefix("service:")


def _state(task: Found) -> TargetState:
    """RUNNING is ready once its health check says so, or where it has none; until then it loads."""
    if task["lastStatus"] != "RUNNING":
        return STATES.get(task["lastStatus"], "starting")
    if task.get("desiredStatus") == "STOPPED":
        return "draining"
    container = _container(task)
    healths = {task.get("healthStatus"), container.get("healthStatus")} - {None}
    return "loading" if healths & {"UNKNOWN", "UNHEALTHY"} and "HEALTHY" not in healths else "ready"


def _container(task: Found) -> Found:
    return next((each for each in task.get("containers", ()) if each["name"] == CONTAINER), {})


def _address(task: Found) -> str:
    """The private address of the task's network interface."""
    details = (row for each in task.get("attachments", ()) for row in each.get("details", ()))
    return next((str(row["value"]) for row in details if row["name"] == "privateIPv4Address"), "")


def _reason(task: Found) -> str:
    """ECS's own sentence, with the exit code and reason of Ollama's container, or of another one that failed alone."""
    failed = [each for each in task.get("containers", ()) if each.get("exitCode")]
    container = _container(task)
    alone = failed[0] if len(failed) == 1 and failed[0]["name"] != CONTAINER else {}
    exit_code = f"exit code {container['exitCode']}" if container.get("exitCode") is not None else ""
    if alone:
        container, exit_code = alone, f"container {alone['name']}: exit code {alone['exitCode']}"
    more = [text for text in (exit_code, str(container.get("reason") or "")) if text]
    return " ".join(filter(None, [str(task.get("stoppedReason") or ""), f"({', '.join(more)})" if more else ""]))


def _ended(task: Found) -> datetime:
    return task.get("stoppedAt") or datetime.min.replace(tzinfo=UTC)


def _release(ecs: Any, definition_arn: str) -> int | None:
    number = _release_label(ecs, definition_arn)
    return int(number) if number.isdecimal() else None


@lru_cache(maxsize=1024)
def _release_label(ecs: Any, definition_arn: str) -> str:
    """A revision never changes, so it is read once for as long as its client lives."""
    definition = ecs.describe_task_definition(taskDefinition=definition_arn)["taskDefinition"]
    return ecs_facts.labels_of(definition).get(RELEASE_TAG, "")
