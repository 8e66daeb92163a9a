"""An ECS service as the API shows it, with its deployments; what happens next is decided in `deployment.py`."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from moto.core.utils import utcnow
from moto.ecs import models as ecs

from arriero.rehearse.aws import wording
from arriero.rehearse.aws.deployment import DeploymentView, ServiceView, TaskView

_EVENTS_KEPT = 100
# What starts a new deployment when it changes, by request key and attribute.
_ROLLING = {
    "capacityProviderStrategy": "capacity_provider_strategy",
    "loadBalancers": "load_balancers",
    "networkConfiguration": "network_configuration",
    "platformVersion": "platform_version",
    "serviceRegistries": "service_registries",
}
_PLAIN = {
    "availabilityZoneRebalancing": "availability_zone_rebalancing",
    "deploymentConfiguration": "deployment_configuration",
    "desiredCount": "desired_count",
    "enableECSManagedTags": "enable_ecs_managed_tags",
    "enableExecuteCommand": "enable_execute_command",
    "healthCheckGracePeriodSeconds": "health_check_grace_period_seconds",
    "placementConstraints": "placement_constraints",
    "placementStrategy": "placement_strategy",
    "propagateTags": "propagate_tags",
}
_DEFAULT_CONFIGURATION = {
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
}


class StageService(ecs.Service):
    """moto's service with the fields that moto drops, and deployments that are lived through."""

    deployments: list[dict[str, Any]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.created_at = utcnow()
        self.deployment_configuration: dict[str, Any] = dict(_DEFAULT_CONFIGURATION)
        self.capacity_provider_strategy: list[dict[str, Any]] | None = None  # absent, not empty, with a launch type
        self.enable_execute_command = False
        self.last_completed: dict[str, Any] | None = None
        self.failures_in_a_row = 0
        self.retry_at = 0.0
        self.is_steady = False
        self.said: set[str] = set()
        self.deployments = []
        self.running_count, self.pending_count = 0, self.desired_count

    def complete(self, request: Mapping[str, Any], default_strategy: list[dict[str, Any]] | None) -> None:
        """Takes from CreateService what moto leaves out, and opens the first deployment."""
        if not request.get("launchType") and default_strategy and not request.get("capacityProviderStrategy"):
            self.capacity_provider_strategy = [dict(item) for item in default_strategy]
        self._take(request, {**_PLAIN, "capacityProviderStrategy": "capacity_provider_strategy"})
        if self.capacity_provider_strategy:
            self.launch_type = None
        self.open_deployment()

    def change(self, request: Mapping[str, Any], task_definition_arn: str) -> None:
        """UpdateService: a new deployment only where AWS starts one."""
        before = (self.task_definition, *(getattr(self, name, None) for name in _ROLLING.values()))
        self._take(request, {**_PLAIN, **_ROLLING})
        self.task_definition = task_definition_arn
        if request.get("capacityProviderStrategy"):
            self.launch_type = None
        after = (self.task_definition, *(getattr(self, name, None) for name in _ROLLING.values()))
        self.is_steady = False
        if before != after or request.get("forceNewDeployment"):
            self.open_deployment()

    def open_deployment(self) -> None:
        for deployment in self.deployments:
            deployment["status"] = "ACTIVE"
        name = f"ecs-svc/{random.randrange(10**18, 10**19)}"
        now = utcnow()
        fresh = {
            "id": name,
            "status": "PRIMARY",
            "taskDefinition": self.task_definition,
            "desiredCount": self.desired_count,
            "pendingCount": 0,
            "runningCount": 0,
            "failedTasks": 0,
            "createdAt": now,
            "updatedAt": now,
            "launchType": self.launch_type,
            "capacityProviderStrategy": self.capacity_provider_strategy,
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "networkConfiguration": self.network_configuration or None,
            "rolloutState": "IN_PROGRESS",
            "rolloutStateReason": wording.in_progress(name),
        }
        self.deployments.insert(0, fresh)
        self._start_over()

    def primary_completed(self) -> None:
        primary = self.deployments[0]
        reason = wording.completed(primary["id"])
        primary.update(rolloutState="COMPLETED", rolloutStateReason=reason, updatedAt=utcnow())
        self.last_completed = dict(primary)
        self.tell(wording.deployment_completed(self.name, primary["id"]))

    def primary_failed(self, back_to: str) -> None:
        """The breaker opened; with `back_to` the last completed deployment is the primary one again."""
        failed = self.deployments[0]
        failed.update(rolloutState="FAILED", rolloutStateReason=wording.NO_BREAKER_LUCK, updatedAt=utcnow())
        self.tell(wording.deployment_failed(self.name, failed["id"]))
        if not back_to or self.last_completed is None:
            return
        failed["status"] = "ACTIVE"
        restored = next((d for d in self.deployments if d["id"] == back_to), None) or dict(self.last_completed)
        self.deployments = [restored, *(d for d in self.deployments if d["id"] != back_to)]
        reason = wording.breaker_rolls_back(back_to)
        restored.update(
            status="PRIMARY", rolloutState="IN_PROGRESS", rolloutStateReason=reason, failedTasks=0, updatedAt=utcnow()
        )
        self.task_definition = restored["taskDefinition"]
        self.network_configuration = restored["networkConfiguration"] or {}
        self.capacity_provider_strategy = restored["capacityProviderStrategy"]
        self._start_over()
        self.tell(wording.rolling_back(self.name, back_to))

    def tell(self, message: str, once: str = "") -> None:
        """Adds a service event; with `once` only the first time in a deployment."""
        if once in self.said:
            return
        if once:
            self.said.add(once)
        self.events.insert(0, {"id": str(uuid4()), "createdAt": utcnow(), "message": message})
        del self.events[_EVENTS_KEPT:]

    def view(self, tasks: tuple[TaskView, ...], *, may_launch: bool) -> ServiceView:
        configuration = {**_DEFAULT_CONFIGURATION, **self.deployment_configuration}
        breaker = configuration["deploymentCircuitBreaker"] or {}
        return ServiceView(
            desired=self.desired_count if self.status == "ACTIVE" else 0,
            deployments=tuple(DeploymentView(d["id"], d["rolloutState"], d["failedTasks"]) for d in self.deployments),
            tasks=tasks,
            minimum_healthy_percent=configuration["minimumHealthyPercent"],
            maximum_percent=configuration["maximumPercent"],
            has_breaker=breaker.get("enable", False),
            rolls_back=breaker.get("rollback", False),
            last_completed=self.last_completed["id"] if self.last_completed else "",
            may_launch=may_launch,
            is_deleted=self.status != "ACTIVE",
        )

    def _start_over(self) -> None:
        self.failures_in_a_row, self.retry_at, self.is_steady, self.said = 0, 0.0, False, set()

    def _take(self, request: Mapping[str, Any], names: Mapping[str, str]) -> None:
        for key, attribute in names.items():
            value = request.get(key)
            if key == "deploymentConfiguration" and value:
                value = {**self.deployment_configuration, **value}
            if value is not None:
                setattr(self, attribute, value)
