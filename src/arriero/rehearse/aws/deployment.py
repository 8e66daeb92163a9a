"""What ECS does next with one service; pure: (service, deployments, tasks) -> what to launch and stop, the verdict.

The rules are those of the ECS developer guide, "Rolling update" and "Deployment circuit breaker": the lower bound is
rounded up, the upper bound down; stopping tasks count in neither; the breaker's threshold is half of the desired count,
at least 3, at most 200, of tasks that failed one after the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Phase = Literal["starting", "up", "stopping"]
Rollout = Literal["IN_PROGRESS", "COMPLETED", "FAILED"]


@dataclass(frozen=True, slots=True)
class TaskView:
    """`up`: running and healthy, or running long enough where nothing checks its health."""

    id: str
    deployment: str
    phase: Phase
    is_protected: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentView:
    id: str
    rollout: Rollout
    failed_tasks: int = 0


@dataclass(frozen=True, slots=True)
class ServiceView:
    """One service now. `deployments`: the primary first; `tasks`: the oldest first.

    `last_completed`: id of the deployment that a rollback goes to, or empty. `may_launch` is false while starts are
    held back after failures; `is_deleted` makes protection void.
    """

    desired: int
    deployments: tuple[DeploymentView, ...]
    tasks: tuple[TaskView, ...] = ()
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200
    has_breaker: bool = False
    rolls_back: bool = False
    last_completed: str = ""
    may_launch: bool = True
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`launch` tasks of the primary deployment, `stop` these task ids; `verdict` is the primary's new rollout state."""

    launch: int = 0
    stop: tuple[str, ...] = ()
    verdict: Literal["", "COMPLETED", "FAILED"] = ""
    roll_back_to: str = ""
    is_stuck: bool = False


def breaker_threshold(desired: int) -> int:
    return max(3, min(200, math.ceil(desired / 2)))


def decide(service: ServiceView) -> Decision:
    primary = service.deployments[0]
    if _is_broken(service):
        target = service.last_completed if service.rolls_back else ""
        return Decision(verdict="FAILED", roll_back_to="" if target == primary.id else target)
    live = [task for task in service.tasks if task.phase != "stopping"]
    mine = [task for task in live if task.deployment == primary.id]
    old = [task for task in live if task.deployment != primary.id]
    launch = _launches(service, len(mine), len(live))
    stop = _surplus(service, mine) + _superseded(service, mine, old)
    waiting = not launch and not stop and len(mine) < service.desired and service.may_launch
    return Decision(
        launch=launch,
        stop=tuple(task.id for task in stop),
        verdict="COMPLETED" if _is_complete(service, mine, old) else "",
        is_stuck=waiting and bool(old) and all(task.phase == "up" for task in live) and primary.rollout != "FAILED",
    )


def _is_broken(service: ServiceView) -> bool:
    primary = service.deployments[0]
    return (
        service.has_breaker
        and primary.rollout == "IN_PROGRESS"
        and primary.failed_tasks >= breaker_threshold(service.desired)
    )


def _launches(service: ServiceView, mine: int, live: int) -> int:
    if not service.may_launch or service.deployments[0].rollout == "FAILED":
        return 0
    upper = math.floor(service.desired * service.maximum_percent / 100)
    return max(0, min(service.desired - mine, upper - live))


def _surplus(service: ServiceView, mine: list[TaskView]) -> list[TaskView]:
    """Tasks beyond the desired count: those not up yet first, then the youngest; protected ones stay."""
    excess = max(0, len(mine) - service.desired)
    candidates = [task for task in reversed(mine) if service.is_deleted or not task.is_protected]
    return sorted(candidates, key=lambda task: task.phase == "up")[:excess]


def _superseded(service: ServiceView, mine: list[TaskView], old: list[TaskView]) -> list[TaskView]:
    """Tasks of former deployments that may go: those not up at once, the others as far as the lower bound allows."""
    if service.deployments[0].rollout == "FAILED":
        return []
    free = [task for task in old if service.is_deleted or not task.is_protected]
    up = sum(task.phase == "up" for task in mine + old)
    spare = max(0, up - math.ceil(service.desired * service.minimum_healthy_percent / 100))
    return [t for t in free if t.phase == "starting"] + [t for t in free if t.phase == "up"][:spare]


def _is_complete(service: ServiceView, mine: list[TaskView], old: list[TaskView]) -> bool:
    up = sum(task.phase == "up" for task in mine)
    return service.deployments[0].rollout == "IN_PROGRESS" and not old and up == len(mine) == service.desired
