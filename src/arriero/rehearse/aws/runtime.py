"""The processes behind one task: started, probed, listened to, ended. Owned by the reconciler's thread alone."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from arriero.rehearse.aws import files, kept
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.aws.health import Health
from arriero.rehearse.aws.shipping import Shipment, shipment
from arriero.rehearse.launch import port_of
from arriero.rehearse.processes import Processes, Server, ServerSpec

_STOP_SECONDS = 30.0  # the default of stopTimeout


@dataclass(frozen=True, slots=True)
class Around:
    """What a task finds about it: its agent, which containers read in ECS_AGENT_URI, and its network's name server."""

    agent: str = ""
    resolver: str = ""


NOTHING = Around()


@dataclass(slots=True)
class RunningContainer:
    name: str
    server: Server
    health: Health | None = None
    logs: Shipment | None = None
    probe: Future[bool] | None = None
    depends_on: tuple[str, ...] = ()


@dataclass(slots=True)
class RunningTask:
    """`due_at` and `running_since` are monotonic seconds; `warned`: who got SIGTERM; `waiting`: definitions of
    containers that others have to come before.
    """

    task: StageTask
    due_at: float
    containers: list[RunningContainer] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    running_since: float = 0.0
    warned: set[str] = field(default_factory=set)
    gone_at: float = 0.0

    def start(
        self, definitions: list[dict[str, Any]], processes: Processes, now: float, pace: float, around: Around = NOTHING
    ) -> None:
        """Starts those that may start by now; the others wait, and this is called again."""
        self.waiting = list(definitions)
        while ready := [one for one in self.waiting if self._may_start(one)]:
            self._start(ready, processes, now, pace, around)
        self.running_since = now

    def _may_start(self, definition: Mapping[str, Any]) -> bool:
        """Whether what its `dependsOn` names has come so far. Health is not waited for: nothing here asks for it."""
        started, exits = {one.name for one in self.containers}, self.exits()
        return all(
            needed["containerName"] in started
            if needed["condition"] == "START"
            else exits.get(needed["containerName"]) in ((0,) if needed["condition"] == "SUCCESS" else range(256))
            for needed in definition.get("dependsOn") or ()
        )

    def failed_dependency(self) -> str:
        """The container that had to succeed for another one to start, and did not; empty where none is."""
        exits = self.exits()
        needed = [one for each in self.waiting for one in each.get("dependsOn") or () if one["condition"] == "SUCCESS"]
        return next((one["containerName"] for one in needed if exits.get(one["containerName"])), "")

    def _start(
        self, definitions: list[dict[str, Any]], processes: Processes, now: float, pace: float, around: Around
    ) -> None:
        volumes = files.volumes_of(self.task, processes)
        for definition in definitions:
            self.waiting.remove(definition)
            server = processes.start(server_spec(self.task, definition, around, volumes))
            check = definition.get("healthCheck")
            self.containers.append(
                RunningContainer(
                    definition["name"],
                    server,
                    Health.of(check, now, pace) if check else None,
                    shipment(definition, self.task.id, server.log, self.task._account_id, self.task.region_name),
                    depends_on=tuple(each["containerName"] for each in definition.get("dependsOn") or ()),
                )
            )

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
        """SIGTERM now, SIGKILL after each container's stopTimeout; called again until all have ended.

        A container waits until those that depend on it have ended: "the dependency is reversed for container shutdown"
        (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html).
        """
        ended = self.exits()
        needed = {name for one in self.containers if one.name not in ended for name in one.depends_on}
        for container in self.containers:
            if container.name not in needed and container.name not in self.warned:
                self.warned.add(container.name)
                container.server.stop()

    def ship(self, *, final: bool = False) -> None:
        for container in self.containers:
            if container.logs:
                container.logs.send(final=final)


def server_spec(
    task: StageTask,
    definition: Mapping[str, Any],
    around: Around = NOTHING,
    volumes: Mapping[str, Path] = MappingProxyType({}),
) -> ServerSpec:
    """`volumes` are folders by the task's names for them."""
    ports = [mapping["containerPort"] for mapping in definition.get("portMappings") or [] if "containerPort" in mapping]
    stop_timeout = definition.get("stopTimeout")
    command = (*(definition.get("entryPoint") or ()), *(definition.get("command") or ()))
    environment = {item["name"]: item["value"] for item in definition.get("environment") or []}
    environment |= kept.values_of(task, definition)
    return ServerSpec(
        target=task.id,
        container=definition["name"],
        cloud="aws",
        region=task.region_name,
        image=definition["image"],
        command=command,
        environment={**environment, **({"ECS_AGENT_URI": around.agent} if around.agent else {})},
        port=port_of(command, environment, ports),
        resolver=around.resolver,
        stop_seconds=_STOP_SECONDS if stop_timeout is None else float(stop_timeout),
        memory_bytes=int(definition.get("memory") or 0) * 2**20,
        mounts={
            mount["containerPath"]: volumes[mount["sourceVolume"]]
            for mount in definition.get("mountPoints") or []
            if mount["sourceVolume"] in volumes
        },
    )
