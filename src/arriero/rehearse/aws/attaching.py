"""What ECS does for a service behind load balancers: it registers tasks, waits until they are in use, lets them go.

Called by the reconciler only, with the world's lock. The rules are those of the ECS developer guide, "Use load
balancing to distribute Amazon ECS service traffic": a task that stops is deregistered first and gets its SIGTERM when
its open requests are done or the group's delay is over; one that a check finds unhealthy after the service's grace is
replaced.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from moto.elbv2.models import elbv2_backends

from arriero.rehearse.aws.balancers import Balancers
from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_service import StageService
from arriero.rehearse.aws.ecs_task import StageTask

_ACCOUNT = "123456789012"
# Those that are over already, or whose host takes them: nobody waits for their requests.
_AT_ONCE = ("EssentialContainerExited", "SpotInterruption", "TaskFailedToStart", "TerminationNotice")


class Attaching:
    def __init__(self, balancers: Balancers) -> None:
        self._balancers = balancers
        self._going: dict[tuple[str, str], float] = {}

    def settle(self, backend: StageEcsBackend) -> None:
        """Registers tasks that run, deregisters addresses of tasks that are gone. Services may share a group."""
        groups: dict[str, Any] = {}
        live: dict[str, dict[str, int]] = {}
        there: dict[str, set[str]] = {}
        for service in backend.services.values():
            tasks = [task for task in backend.tasks_of(service) if task.last_status != "STOPPED"]
            for arn, port, group in _groups(backend.region_name, service):
                groups[arn] = group
                running = (task for task in tasks if task.last_status == "RUNNING" and not task.is_stopping)
                live.setdefault(arn, {}).update({task.address: port for task in running})
                there.setdefault(arn, set()).update(task.address for task in tasks)
        for arn, group in groups.items():
            for address, port in live[arn].items():
                if address not in group.targets:
                    group.register([{"Id": address, "Port": port}])
            for address in set(group.targets) - there[arn]:
                group.deregister([{"Id": address}])

    @staticmethod
    def has_public_address(task: StageTask) -> bool:
        """As its service was told; a task of its own has what nobody asks for here, none."""
        service = _service(task)
        given: Mapping[str, Any] = (service.network_configuration if service else None) or {}
        return bool(given.get("awsvpcConfiguration", {}).get("assignPublicIp") == "ENABLED")

    def is_in_use(self, task: StageTask) -> bool:
        """Whether every load balancer of its service sends it requests; true without any."""
        return all(self._balancers.state(arn, task.address) == "healthy" for arn, _, _ in _of(task))

    def failed_group(self, task: StageTask, seconds: float) -> str:
        """The ARN of a group that finds it unhealthy after the grace; empty where none does."""
        service = _service(task)
        grace = float(getattr(service, "health_check_grace_period_seconds", None) or 0)
        if seconds < grace:
            return ""
        return next((arn for arn, _, _ in _of(task) if self._balancers.state(arn, task.address) == "unhealthy"), "")

    def is_let_go(self, task: StageTask) -> bool:
        """Deregisters it; true when it may be told to stop."""
        done = [self._is_let_go(arn, group, task) for arn, _, group in _of(task)]
        return all(done)

    def is_going(self, arn: str, address: str) -> bool:
        return (arn, address) in self._going

    def _is_let_go(self, arn: str, group: Any, task: StageTask) -> bool:
        key = (arn, task.address)
        if task.address in group.targets:
            group.deregister([{"Id": task.address}])
            self._going[key] = time.monotonic()
        if key not in self._going:
            return True
        waited = time.monotonic() - self._going[key]
        delay = float(group.attributes["deregistration_delay.timeout_seconds"])
        if task.stop_code in _AT_ONCE or not self._balancers.open_requests(*key) or waited >= delay:
            del self._going[key]
            return True
        return False


def _service(task: StageTask) -> StageService | None:
    backend = cast(StageEcsBackend, task._backend)
    return backend.services.get(f"{task.cluster_name}:{task.service_name}")


def _of(task: StageTask) -> Iterable[tuple[str, int, Any]]:
    service = _service(task)
    return _groups(task.region_name, service) if service else ()


def _groups(region: str, service: StageService) -> Iterator[tuple[str, int, Any]]:
    for each in service.load_balancers or ():
        group = elbv2_backends[_ACCOUNT][region].target_groups.get(each["targetGroupArn"])
        if group is not None:
            yield group.arn, int(each["containerPort"]), group
