"""Cloud Map as ECS and DNS use it: tasks are written down under a service's name, and a name server tells them.

What moto lacks of it is filled here, too: filters of lists, and that nothing goes which something is still in. Called
by the reconciler with the world's lock; the name server asks under that lock as well.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import moto.servicediscovery.models
import moto.servicediscovery.responses
from moto.core.exceptions import JsonRESTError
from moto.ec2.models import ec2_backends
from moto.route53.models import route53_backends
from moto.servicediscovery.models import ServiceInstance, servicediscovery_backends

from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_service import StageService
from arriero.rehearse.aws.ecs_task import StageTask

_ACCOUNT = "123456789012"
# https://docs.aws.amazon.com/cloud-map/latest/api/API_DnsConfig.html: of more, each answer has another eight.
_MOST_IN_AN_ANSWER = 8
_ADDRESS = "AWS_INSTANCE_IPV4"


class ResourceInUse(JsonRESTError):
    def __init__(self, message: str) -> None:
        super().__init__("ResourceInUse", message)


def settle(backend: StageEcsBackend) -> None:
    """Writes down who runs and strikes out who is going, as ECS does; who is not healthy yet is not named."""
    for service in backend.services.values():
        tasks = {task.id: task for task in backend.tasks_of(service) if _is_there(task)}
        for name in _registered(backend.region_name, service):
            name.instances = [each for each in name.instances if each.instance_id in tasks or not _is_of(each, service)]
            known = {each.instance_id: each for each in name.instances}
            for task in tasks.values():
                if task.id not in known:
                    known[task.id] = ServiceInstance(name.id, task.id, None, _attributes(task, service))
                    name.instances.append(known[task.id])
                known[task.id].health_status = "HEALTHY" if _is_healthy(backend, task) else "UNHEALTHY"


def addresses(asked: str) -> tuple[str, ...] | None:
    """What DNS answers to that name; None where there is no such name, or its network gives none."""
    for region, backend in list(servicediscovery_backends[_ACCOUNT].items()):
        for service in list(backend.services.values()):
            zone = backend.namespaces.get(service.namespace_id)
            if (
                zone is not None
                and asked.lower() == f"{service.name}.{zone.name}".lower()
                and _gives_names(region, zone)
            ):
                found = [each.attributes[_ADDRESS] for each in service.instances if each.health_status == "HEALTHY"]
                return tuple(random.sample(found, min(len(found), _MOST_IN_AN_ANSWER)))
    return None


def fill_the_gaps() -> None:
    """Before the first backend is made; doing it twice does no harm."""
    responses: Any = moto.servicediscovery.responses.ServiceDiscoveryResponse
    models: Any = moto.servicediscovery.models.ServiceDiscoveryBackend
    remove_zone = getattr(models.delete_namespace, "whole", models.delete_namespace)
    remove_service = getattr(models.delete_service, "whole", models.delete_service)

    def list_namespaces(self: Any) -> Any:
        found = self.servicediscovery_backend.list_namespaces()
        keys = {"TYPE": lambda zone: zone.type, "NAME": lambda zone: zone.name}
        return 200, {}, json.dumps({"Namespaces": [each.to_json() for each in _filtered(self, found, keys)]})

    def list_services(self: Any) -> Any:
        found = self.servicediscovery_backend.list_services()
        keys = {"NAMESPACE_ID": lambda service: service.namespace_id}
        return json.dumps({"Services": [each.to_json() for each in _filtered(self, found, keys)]})

    def delete_namespace(self: Any, namespace_id: str) -> Any:
        if any(each.namespace_id == namespace_id for each in self.services.values()):
            raise ResourceInUse("The namespace still contains services.")
        zone = self.get_namespace(namespace_id)
        removed = remove_zone(self, namespace_id)
        route53_backends[_ACCOUNT]["aws"].zones.pop(
            str(zone.dns_properties.get("HostedZoneId")).rpartition("/")[2], None
        )
        return removed

    def delete_service(self: Any, service_id: str) -> None:
        if self.get_service(service_id).instances:
            raise ResourceInUse("The service contains registered instances.")
        remove_service(self, service_id)

    delete_namespace.whole, delete_service.whole = remove_zone, remove_service  # type: ignore[attr-defined]
    responses.list_namespaces, responses.list_services = list_namespaces, list_services
    models.delete_namespace, models.delete_service = delete_namespace, delete_service


def _filtered(response: Any, found: Iterable[Any], keys: Mapping[str, Any]) -> list[Any]:
    asked = json.loads(response.body or "{}").get("Filters") or []
    return [each for each in found if all(keys[one["Name"]](each) in one["Values"] for one in asked)]


def _registered(region: str, service: StageService) -> Iterator[Any]:
    known = servicediscovery_backends[_ACCOUNT][region].services
    for each in service.service_registries or ():
        name = known.get(str(each["registryArn"]).rpartition("/")[2])
        if name is not None:
            yield name


def _attributes(task: StageTask, service: StageService) -> dict[str, str]:
    return {
        _ADDRESS: task.address,
        "AVAILABILITY_ZONE": task.availability_zone,
        "ECS_CLUSTER_NAME": service.cluster_name,
        "ECS_SERVICE_NAME": service.name,
        "REGION": task.region_name,
    }


def _is_of(instance: Any, service: StageService) -> bool:
    """Services may share a name, as two of a site do while one takes the other's place."""
    own = instance.attributes
    return (own.get("ECS_CLUSTER_NAME"), own.get("ECS_SERVICE_NAME")) == (service.cluster_name, service.name)


def _is_there(task: StageTask) -> bool:
    return task.last_status == "RUNNING" and not task.is_stopping and bool(task.address)


def _is_healthy(backend: StageEcsBackend, task: StageTask) -> bool:
    definition = backend.describe_task_definition(task.task_definition_arn)
    is_checked = any(each.get("healthCheck") for each in definition.container_definitions)
    return task.health_status == "HEALTHY" or not is_checked


def _gives_names(region: str, zone: Any) -> bool:
    """A private zone is answered only in a network that has DNS and gives its hosts names."""
    vpc = ec2_backends[_ACCOUNT][region].vpcs.get(zone.vpc)
    return vpc is not None and bool(vpc.enable_dns_support) and bool(vpc.enable_dns_hostnames)
