"""ECS as clients speak to it, where moto falls short: the backend and the response class that replace moto's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import moto.ecs.urls
from moto.core.responses import ActionResult
from moto.ecs import models as ecs
from moto.ecs.exceptions import ECSException, InvalidParameterException, ServiceNotFoundException
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.ssm.models import ssm_backends

from arriero.rehearse.aws.capacity_api import CapacityBackend
from arriero.rehearse.aws.ecs_service import StageService
from arriero.rehearse.aws.ecs_task import MANAGED_INSTANCES, StageTask
from arriero.rehearse.aws.managed_api import refuse_a_definition


class StageEcsBackend(CapacityBackend):
    """One region's ECS. State is changed here by calls, and by the reconciler; both hold the world's lock."""

    services: dict[str, StageService]  # type: ignore[assignment]
    tasks: dict[str, dict[str, StageTask]]  # type: ignore[assignment]

    @property
    def _url_module(self) -> Any:
        """moto derives this from the name of the class's module."""
        return moto.ecs.urls

    @staticmethod
    def _calculate_task_resource_requirements(_: Any) -> dict[str, Any]:
        """Nothing: Fargate has no machine to fill, and machines are filled by `machines.py`."""
        return {}

    def parameter(self, name: str) -> str:
        """The value of one of SSM's public parameters; empty where there is none."""
        found = ssm_backends[self.account_id][self.region_name].get_parameters([name])
        return str(found[name].value) if name in found else ""

    def update_cluster_resources(self, *_: Any, **__: Any) -> None:
        """Nothing: the reconciler counts what is there."""

    def create_cluster(self, cluster_name: str, *arguments: Any, **options: Any) -> Any:
        existing = self.clusters.get(cluster_name)
        if existing is not None and existing.status == "ACTIVE":
            return existing
        self.refuse_unknown(options.get("capacity_providers") or ())
        cluster = super().create_cluster(cluster_name, *arguments, **options)
        cluster.tags = cluster.tags or []  # moto answers "no tags" by leaving the list out, AWS by an empty one
        return cluster

    def delete_cluster(self, cluster_str: str) -> Any:
        cluster = self._get_cluster(cluster_str)
        if any(s.cluster_name == cluster.name and s.status != "INACTIVE" for s in self.services.values()):
            text = "The Cluster cannot be deleted while Services are active."
            raise ECSException("ClusterContainsServicesException", text)
        if any(task.last_status != "STOPPED" for task in self.tasks.get(cluster.name, {}).values()):
            text = "The Cluster cannot be deleted while Tasks are active."
            raise ECSException("ClusterContainsTasksException", text)
        if any(self.kind_of(each) == MANAGED_INSTANCES for each in cluster.capacity_providers or ()):
            text = "The Cluster cannot be deleted while Cluster Scoped Capacity Providers are attached to the cluster."
            raise ECSException("ClientException", text)
        if self.container_instances.get(cluster.name):
            text = "The Cluster cannot be deleted while Container Instances are active or draining."
            raise ECSException("ClusterContainsContainerInstancesException", text)
        return super().delete_cluster(cluster_str)

    def update_cluster_settings(self, request: Mapping[str, Any]) -> ecs.Cluster:
        """Those that are named. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ClusterSetting.html"""
        cluster = self._get_cluster(request["cluster"])
        if cluster.status != "ACTIVE":
            raise ECSException("ClusterNotFoundException", "Cluster not found.")
        asked = {each["name"]: each["value"] for each in request["settings"]}
        for name, value in asked.items():
            if name != "containerInsights" or value not in ("enhanced", "enabled", "disabled"):
                raise InvalidParameterException(f"Invalid setting: {name} can't be {value}.")
        held = {each["name"]: each["value"] for each in cluster.settings}
        cluster.settings = [{"name": name, "value": value} for name, value in {**held, **asked}.items()]
        return cluster

    def create_service(self, cluster_str: str, service_name: str, *arguments: Any, **options: Any) -> Any:
        cluster = self._get_cluster(cluster_str)
        if cluster.status != "ACTIVE":
            raise ECSException("ClusterNotFoundException", "Cluster not found.")
        existing = self.services.get(f"{cluster.name}:{service_name}")
        if existing is not None and existing.status == "ACTIVE":
            raise InvalidParameterException("Creation of service was not idempotent.")
        if existing is not None and existing.status == "DRAINING":
            raise InvalidParameterException("Unable to Start a service that is still Draining.")
        return super().create_service(cluster_str, service_name, *arguments, **options)

    def change_service(self, request: dict[str, Any]) -> StageService:
        name = request["service"].split("/")[-1]
        service = self._service(request.get("cluster") or "default", name)
        if service.status != "ACTIVE":
            raise ECSException("ServiceNotActiveException", "Service was not ACTIVE.")
        wanted = request.get("taskDefinition") or service.task_definition
        definition = self.describe_task_definition(str(wanted))
        if request.get("taskDefinition") and definition.status != "ACTIVE":
            raise ECSException("ClientException", "TaskDefinition is inactive")
        service.change(request, definition.arn)
        return service

    def delete_service(self, cluster_name: str, service_name: str, force: bool) -> Any:
        service = self._service(cluster_name, service_name)
        if service.status == "INACTIVE":
            raise ServiceNotFoundException
        if service.desired_count > 0 and not force:
            raise InvalidParameterException("The service cannot be stopped while it is scaled above 0.")
        service.status, service.desired_count = "DRAINING", 0
        if not any(task.last_status != "STOPPED" for task in self.tasks_of(service)):
            service.status = "INACTIVE"
        return service

    def _service(self, cluster_str: str, name: str) -> StageService:
        return cast(StageService, self._get_service(cluster_str, name))

    def list_services(self, *arguments: Any, **options: Any) -> list[str]:
        gone = {service.arn for service in self.services.values() if service.status == "INACTIVE"}
        return [arn for arn in super().list_services(*arguments, **options) if arn not in gone]

    def list_tasks(
        self,
        cluster_str: str | None = None,
        container_instance: str | None = None,
        family: str | None = None,
        started_by: str | None = None,
        service_name: str | None = None,
        desiredStatus: str | None = None,  # noqa: N803 - moto's name
    ) -> list[Any]:
        status = desiredStatus or "RUNNING"
        found = super().list_tasks(cluster_str, container_instance, family, started_by, None, status)
        short = (service_name or "").split("/")[-1]
        return [task for task in found if not short or cast(StageTask, task).service_name == short]

    def stop_task(self, cluster_str: str, task_str: str, reason: str) -> StageTask:
        task = self.find_task(cluster_str, task_str)
        task.request_stop(reason or "Task stopped by user", "UserInitiated")
        return task

    def find_task(self, cluster_str: str, task_str: str) -> StageTask:
        cluster = self._get_cluster(cluster_str)
        for task in self.tasks.get(cluster.name, {}).values():
            if task.id == task_str.split("/")[-1]:
                return task
        raise InvalidParameterException("The referenced task was not found.")

    def tasks_of(self, service: StageService) -> list[StageTask]:
        """The service's tasks, stopped ones included, the oldest first."""
        tasks = self.tasks.get(service.cluster_name, {}).values()
        return [task for task in tasks if task.service_name == service.name]

    def iter_tagged_resources(self) -> Iterator[Any]:
        """As the tagging API has it: what was deleted or stopped is not found any more."""
        gone = {c.arn for c in self.clusters.values() if c.status == "INACTIVE"}
        gone |= {s.arn for s in self.services.values() if s.status == "INACTIVE"}
        gone |= {t.task_arn for tasks in self.tasks.values() for t in tasks.values() if t.last_status == "STOPPED"}
        gone |= {d.arn for family in self.task_definitions.values() for d in family.values() if d.status != "ACTIVE"}
        return (resource for resource in super().iter_tagged_resources() if resource.arn not in gone)


class StageEcsResponse(EC2ContainerServiceResponse):
    """The calls that moto lacks or answers with less than was asked."""

    def __init__(self) -> None:
        super().__init__()
        # moto keeps "include TAGS" in one dictionary for all calls; each call needs its own.
        self.RESPONSE_KEY_PATH_TO_TRANSFORMER = dict(EC2ContainerServiceResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER)

    @property
    def ecs_backend(self) -> StageEcsBackend:
        return cast(StageEcsBackend, ecs.ecs_backends[self.current_account][self.region])

    def describe_clusters(self) -> ActionResult:
        settings = "DescribeClustersResponse.clusters.Cluster.settings"
        if "SETTINGS" in self._get_param("include", []):
            self._include_in_response(settings)
        else:
            self._exclude_from_response(settings)
        return super().describe_clusters()

    def update_cluster_settings(self) -> ActionResult:
        return ActionResult({"cluster": self.ecs_backend.update_cluster_settings(_plain(self.params))})

    def create_capacity_provider(self) -> ActionResult:
        request = _plain(self.params)
        kinds = [key for key in ("autoScalingGroupProvider", "managedInstancesProvider") if request.get(key)]
        if len(kinds) != 1:
            raise InvalidParameterException("Exactly one kind of capacity provider must be specified.")
        if kinds == ["autoScalingGroupProvider"]:
            return super().create_capacity_provider()
        return ActionResult({"capacityProvider": self.ecs_backend.create_managed(request)})

    def update_capacity_provider(self) -> ActionResult:
        request = _plain(self.params)
        if not request.get("managedInstancesProvider"):
            return super().update_capacity_provider()
        return ActionResult({"capacityProvider": self.ecs_backend.update_managed(request)})

    def register_task_definition(self) -> ActionResult:
        refuse_a_definition(_plain(self.params))
        return super().register_task_definition()

    def create_service(self) -> ActionResult:
        self.ecs_backend.refuse_what_does_not_go_together(_plain(self.params))
        answer = super().create_service()
        service = cast(dict[str, StageService], answer.result)["service"]
        cluster = self.ecs_backend.clusters[service.cluster_name]
        service.complete(_plain(self.params), cluster.default_capacity_provider_strategy)
        return answer

    def update_service(self) -> ActionResult:
        backend, request = self.ecs_backend, _plain(self.params)
        backend.refuse_what_does_not_go_together(request)
        return ActionResult({"service": backend.change_service(request)})

    def update_task_protection(self) -> ActionResult:
        request = _plain(self.params)
        tasks = [self.ecs_backend.find_task(request["cluster"], name) for name in request["tasks"]]
        minutes = request.get("expiresInMinutes") or 120
        until = datetime.now(UTC) + timedelta(minutes=minutes)
        for task in tasks:
            task.protected_until = until if request["protectionEnabled"] else None
        return _protection(tasks)

    def get_task_protection(self) -> ActionResult:
        request = _plain(self.params)
        return _protection(
            [self.ecs_backend.find_task(request["cluster"], name) for name in request.get("tasks") or []]
        )


def _protection(tasks: list[StageTask]) -> ActionResult:
    rows = [
        {
            "taskArn": task.task_arn,
            "protectionEnabled": task.is_protected,
            "expirationDate": task.protected_until if task.is_protected else None,
        }
        for task in tasks
    ]
    return ActionResult({"protectedTasks": rows, "failures": []})


def _plain(parameters: Any) -> dict[str, Any]:
    return parameters.original_dict() if hasattr(parameters, "original_dict") else dict(parameters)
