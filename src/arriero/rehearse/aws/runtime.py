"""The processes behind one task: started, probed, listened to, ended. Owned by the reconciler's thread alone."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.aws.health import Health
from arriero.rehearse.aws.shipping import Shipment, shipment
from arriero.rehearse.processes import Processes, Server, ServerSpec

_PORT = 11434
_STOP_SECONDS = 30.0  # the default of stopTimeout


@dataclass(slots=True)
class RunningContainer:
    name: str
    server: Server
    health: Health | None = None
    logs: Shipment | None = None
    probe: Future[bool] | None = None


@dataclass(slots=True)
class RunningTask:
    """`due_at` and `running_since` are monotonic seconds; `is_warned`: SIGTERM was sent."""

    task: StageTask
    due_at: float
    containers: list[RunningContainer] = field(default_factory=list)
    running_since: float = 0.0
    is_warned: bool = False
    gone_at: float = 0.0

    def start(self, definitions: list[dict[str, Any]], processes: Processes, now: float, pace: float) -> None:
        for definition in definitions:
            server = processes.start(server_spec(self.task, definition))
            check = definition.get("healthCheck")
            self.containers.append(
                RunningContainer(
                    definition["name"],
                    server,
                    Health.of(check, now, pace) if check else None,
                    shipment(definition, self.task.id, server.log, self.task._account_id, self.task.region_name),
                )
            )
        self.running_since = now

    def probe(self, now: float, pool: Executor) -> None:
        """Takes in what probes found and sends out those that are due; waits for none."""
        for container in self.containers:
            if container.health is None:
                continue
            if container.probe is not None and container.probe.done():
                container.health.count(answered=container.probe.result(), now=now)
                container.probe = None
            if container.probe is None and container.health.is_due(now):
                container.health.postpone(now)
                container.probe = pool.submit(container.server.is_answering)

    def health(self) -> str:
        found = [container.health.status for container in self.containers if container.health]
        if "UNHEALTHY" in found:
            return "UNHEALTHY"
        return "HEALTHY" if found and set(found) == {"HEALTHY"} else "UNKNOWN"

    @property
    def is_checked(self) -> bool:
        return any(container.health for container in self.containers)

    def exits(self) -> Mapping[str, int]:
        """Exit codes by container, as Docker tells them: 137 for a process that SIGKILL ended."""
        codes = {container.name: container.server.poll() for container in self.containers}
        return {name: code if code >= 0 else 128 - code for name, code in codes.items() if code is not None}

    def warn(self) -> None:
        """SIGTERM now, SIGKILL after each container's stopTimeout."""
        if not self.is_warned:
            self.is_warned = True
            for container in self.containers:
                container.server.stop()

    def ship(self, *, final: bool = False) -> None:
        for container in self.containers:
            if container.logs:
                container.logs.send(final=final)


def server_spec(task: StageTask, definition: Mapping[str, Any]) -> ServerSpec:
    ports = [mapping["containerPort"] for mapping in definition.get("portMappings") or [] if "containerPort" in mapping]
    stop_timeout = definition.get("stopTimeout")
    return ServerSpec(
        target=task.id,
        container=definition["name"],
        cloud="aws",
        region=task.region_name,
        image=definition["image"],
        command=(*(definition.get("entryPoint") or ()), *(definition.get("command") or ())),
        environment={item["name"]: item["value"] for item in definition.get("environment") or []},
        port=ports[0] if ports else _PORT,
        stop_seconds=_STOP_SECONDS if stop_timeout is None else float(stop_timeout),
        memory_bytes=int(definition.get("memory") or 0) * 2**20,
    )
