"""A task as the API shows it, on Fargate or on a machine; the processes behind it are the runtime's (`runtime.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ecs import models as ecs

MANAGED_INSTANCES = "MANAGED_INSTANCES"


class StageContainer:
    """One container of a task, with the fields of the API (camel-case ones are read as they are)."""

    def __init__(self, definition: Mapping[str, Any], task_arn: str) -> None:
        self.container_arn = f"{task_arn.replace(':task/', ':container/')}/{uuid4()}"
        self.task_arn = task_arn
        self.name: str = definition["name"]
        self.image: str = definition["image"]
        self.last_status = "PENDING"
        self.exit_code: int | None = None
        self.reason: str | None = None
        self.health_status = "UNKNOWN"
        self.network_interfaces: list[dict[str, Any]] = []
        self.cpu = str(definition.get("cpu", 0))
        self.memory = str(definition["memory"]) if definition.get("memory") else None
        self.is_essential: bool = definition.get("essential", True)


class StageTask(ecs.Task):
    """moto's task, but its state is moved by the reconciler alone, and all containers are there.

    `deployment` is the id of the service's deployment that launched it, empty for RunTask.
    """

    attachments: list[dict[str, Any]]
    containers: list[StageContainer]  # type: ignore[assignment]
    availability_zone: str = ""

    def __init__(self, cluster: Any, task_definition: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(cluster, task_definition, *arguments, **options)
        self.id = uuid4().hex
        self._last_status = "PROVISIONING"
        self.deployment = ""
        self.service_name = ""
        self.created_at = utcnow()
        self.connectivity = "CONNECTED"
        self.connectivity_at = self.created_at
        self.started_at: datetime | None = None
        self.stopping_at: datetime | None = None
        self.stopped_at: datetime | None = None
        self.stop_code: str | None = None
        self.stopped_reason = None  # type: ignore[assignment]
        self.health_status = "UNKNOWN"
        self.cpu = task_definition.cpu
        self.memory = task_definition.memory
        self.platform_family = "Linux"
        self.platform_version = None if self.needs_machine else "1.4.0"  # Fargate's
        self.version = 1
        self.protected_until: datetime | None = None
        self.has_settled = False
        if subnet := self.subnet:
            self.availability_zone = (
                ec2_backends[self._account_id][self.region_name].get_subnet(subnet).availability_zone
            )
        self.containers = [StageContainer(d, self.task_arn) for d in task_definition.container_definitions]

    @property
    def last_status(self) -> str:
        return self._last_status

    @last_status.setter
    def last_status(self, value: str) -> None:
        self._last_status = value
        self.version += 1

    def advance(self) -> None:
        """Nothing: describing a task does not move it."""

    @property
    def needs_machine(self) -> bool:
        """Whether it runs on a machine of EC2; it waits until it has been given one."""
        return self.launch_type in ("EC2", MANAGED_INSTANCES)

    @property
    def address(self) -> str:
        """Empty until it has one."""
        return self._detail("privateIPv4Address")

    @property
    def subnet(self) -> str:
        return self._detail("subnetId")

    def _detail(self, name: str) -> str:
        details = (row for each in self.attachments for row in each["details"])
        return next((str(row["value"]) for row in details if row["name"] == name), "")

    @property
    def is_protected(self) -> bool:
        return self.protected_until is not None and self.protected_until > datetime.now(UTC)

    @property
    def is_stopping(self) -> bool:
        return self.desired_status == "STOPPED"

    def request_stop(self, reason: str, code: str) -> None:
        if self.desired_status == "STOPPED":
            return
        self.desired_status = "STOPPED"
        self.stopped_reason, self.stop_code, self.stopping_at = reason, code, utcnow()

    def give_address(self, address: str) -> None:
        for attachment in self.attachments:
            for detail in attachment["details"]:
                if detail["name"] == "privateIPv4Address":
                    detail["value"] = address
            interface = self._interface(attachment)
            if interface is not None:
                interface.private_ip_address = address
                interface.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": address}]
        for container in self.containers:
            container.network_interfaces = [
                {"attachmentId": attachment["id"], "privateIpv4Address": address} for attachment in self.attachments
            ]

    def end(self) -> None:
        """STOPPED for good: the containers too, and the network interface is gone."""
        self.last_status = self.desired_status = "STOPPED"
        self.stopped_at = self.execution_stopped_at = utcnow()
        self.connectivity = "DISCONNECTED"
        for container in self.containers:
            container.last_status = "STOPPED"
        for attachment in self.attachments:
            interface = self._interface(attachment)
            if interface is not None:
                ec2_backends[self._account_id][self.region_name].enis.pop(interface.id, None)
            attachment["status"] = "DELETED"

    def _interface(self, attachment: Mapping[str, Any]) -> Any:
        name = next((d["value"] for d in attachment["details"] if d["name"] == "networkInterfaceId"), "")
        return ec2_backends[self._account_id][self.region_name].enis.get(name)
