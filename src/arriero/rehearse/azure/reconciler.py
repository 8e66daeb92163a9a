"""Container groups as running processes: one thread that makes the world like its records, every 50 ms.

Who runs: this thread alone starts and ends servers, under the state's lock, so that no request sees a half-made group;
probes go out in threads of their own (`probes.py`). A server that ends is seen within a tick, and what follows is
decided by the records (`runs.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from arriero.catalog.prices import EVERYWHERE
from arriero.errors import ArrieroError
from arriero.rehearse.azure import (
    apps,
    firewalls,
    front_door_names,
    front_door_plan,
    group_rules,
    images,
    machines,
    operations,
    standby_pools,
)
from arriero.rehearse.azure.answers import Document
from arriero.rehearse.azure.app_ingress import AppIngress
from arriero.rehearse.azure.faults import Faults
from arriero.rehearse.azure.front_doors import FrontDoors
from arriero.rehearse.azure.http_ingress import HttpIngress
from arriero.rehearse.azure.log_store import LogStore
from arriero.rehearse.azure.machine_network import MachineNetwork
from arriero.rehearse.azure.probes import Probes
from arriero.rehearse.azure.runs import ContainerRun, GroupRun
from arriero.rehearse.azure.types import DISKS
from arriero.rehearse.azure.world import World
from arriero.rehearse.emulator import ContainerRow
from arriero.rehearse.launch import port_of
from arriero.rehearse.meter import Usage
from arriero.rehearse.processes import Processes, Server, ServerSpec

TICK_SECONDS = 0.05
TICKS_A_METERING = 10
GRACE_SECONDS = 30.0
_GIGABYTE = 10**9


class Reconciler:
    """Owns the servers of all container groups, by target and container."""

    def __init__(self, world: World, processes: Processes, faults: Faults, logs: LogStore, doors: FrontDoors) -> None:
        self._world, self._processes, self._faults, self._logs = world, processes, faults, logs
        self._doors, self.resolver = doors, ""
        self._probes = Probes()
        self._ingress = AppIngress(world, processes)
        self._machines = MachineNetwork(world, processes, self._of)
        self._balanced = HttpIngress(world, doors.folder, self._of, doors.pace)
        self._servers: dict[tuple[str, str], Server] = {}
        self._asked_to_end: set[int] = set()
        self._frozen: set[int] = set()
        self._ticks = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="azure reconciler", daemon=True)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, then every server at once."""
        self._ending.set()
        self._thread.join()
        self._probes.close()
        self._ingress.stop()
        self._machines.stop()
        self._balanced.stop()
        for server in self._servers.values():
            server.kill()
        for server in self._servers.values():
            server.wait(5)
        self._servers.clear()

    def tick(self) -> None:
        with self._world.state.lock:
            self._ticks += 1
            self._faults.expire()
            standby_pools.tend(self._world)
            for key, run in self._world.state.runs.items():
                self._advance(apps.shape(self._world, key), run)
            self._let_leave()
            self._hold_frozen()
            self._ingress.tend()
            self._machines.tend()
            self._balanced.tend()
            if self._processes.is_apart:
                self._guard()
            if self._ticks % TICKS_A_METERING == 0:
                self._world.meter.tick(self._world.today, self._usages())
                self._logs.collect()
            operations.finish_due(self._world)
            front_door_names.look(self._world)
            self._doors.settle(self._world.state)

    def _guard(self) -> None:
        """Has targets and ingresses let in whom the stored rules do."""
        for key, run in self._world.state.runs.items():
            self._processes.guard(run.target, tuple(firewalls.rules(self._world, key)))
        for address, rules in firewalls.doors(self._world):
            self._processes.guard_door(address, rules)

    def _usages(self) -> Iterator[Usage]:
        """What is billed now: groups whose containers run, addresses, and Front Doors."""
        for key, resource in self._world.state.resources.items():
            run, tags = self._world.state.runs.get(key), resource.get("tags") or {}
            if run and run.phase in ("initializing", "running", "stopping"):
                yield Usage(resource["location"], tags, apps.billed(self._world, key))
            elif resource.get("type", "").lower() == "microsoft.network/publicipaddresses":
                yield Usage(resource["location"], tags, {"public_ipv4": 1.0})
            elif resource.get("type", "").lower() == DISKS:
                yield Usage(resource["location"], tags, machines.billed_disk(resource))
            elif resource.get("type", "").lower() == front_door_plan.PROFILE:
                yield Usage(EVERYWHERE, tags, front_door_plan.billed(resource))

    def _of(self, target: str) -> list[Server]:
        return [server for (mine, _), server in self._servers.items() if mine == target]

    def servers(self, region: str, group: str = "") -> Iterator[tuple[str, Server]]:
        """The running servers of a region, or of one group in it, with the group's name."""
        for key, run in self._world.state.runs.items():
            resource = self._world.state.resources[key]
            if resource["location"] == region and group in ("", resource["name"]):
                mine = [server for (target, _), server in self._servers.items() if target == run.target]
                yield from ((resource["name"], server) for server in mine if server.poll() is None)

    def rows(self) -> list[ContainerRow]:
        """The running servers as `status` shows them: the target's id is the group's name."""
        with self._world.state.lock:
            regions = {
                one["location"] for key, one in self._world.state.resources.items() if key in self._world.state.runs
            }
            found = [(region, *pair) for region in sorted(regions) for pair in self.servers(region)]
        return [
            ContainerRow(name, one.spec.container, "azure", region, one.address, one.pid, one.engine)
            for region, name, one in found
        ]

    def _run(self) -> None:
        while not self._ending.wait(TICK_SECONDS):
            self.tick()

    def _advance(self, group: Document, run: GroupRun) -> None:
        if self._faults.is_lost(group["location"]):
            return
        self._see_ends(group, run)
        if run.phase == "stopping":
            self._stop_all(group, run)
        elif run.phase == "evicted" and not self._faults.is_evicted(group["location"], group["name"]):
            self._enter(group, run, "pending")
        elif run.phase == "pending" and not images.can_be_pulled(group, self._world, self._faults.has_no_images):
            return
        elif run.phase == "pending" and self._world.now >= run.ready_at:
            self._show_address(group, run)
            self._enter(group, run, "initializing" if run.init else "running", "Creating")
        if run.phase == "initializing":
            self._initialize(group, run)
        if run.phase == "running":
            self._keep_running(group, run)

    def _initialize(self, group: Document, run: GroupRun) -> None:
        """One after the other, each to its end with exit code 0."""
        for record in run.init:
            if record.is_over and record.current["exitCode"] != 0:
                return self._enter(group, run, "failed", "Failed")
            if not record.is_over:
                return self._start_if_due(group, run, record, "initContainers")
        return self._enter(group, run, "running")

    def _keep_running(self, group: Document, run: GroupRun) -> None:
        for record in run.containers:
            self._start_if_due(group, run, record, "containers")
            self._probe(group, run, record)
        if group["properties"]["provisioningState"] in ("Creating", "Pending") and self._world.now >= run.ready_at:
            group["properties"]["provisioningState"] = "Succeeded"
            self._world.state.changed()
        before = run.phase
        run.settle()
        if run.phase != before:
            self._world.state.changed()

    def _start_if_due(self, group: Document, run: GroupRun, record: ContainerRun, member: str) -> None:
        key = (run.target, record.name)
        if record.retry_at is None or self._world.now < record.retry_at or key in self._servers:
            return
        container = next(one for one in group["properties"][member] if one["name"] == record.name)
        written = Path(record.log)
        record.log_start = written.stat().st_size if record.log and written.exists() else 0
        try:
            server = self._processes.start(_spec(group, run, container, self._volumes(group, run), self.resolver))
        except (OSError, ArrieroError) as error:
            record.tell("Failed", f"Error: failed to start container: {error}", self._world.now, "Warning")
            record.ended(128, group["properties"]["restartPolicy"], self._world.now)
        else:
            self._servers[key] = server
            record.log = str(server.log)
            record.started(container["properties"]["image"], self._world.now)
        self._world.state.changed()

    def _volumes(self, group: Document, run: GroupRun) -> dict[str, Path]:
        """Folders of this machine by the names of the group's volumes: a share's own, and one of the group's."""
        found = {}
        for volume in group["properties"].get("volumes") or []:
            if share := volume.get("azureFile"):
                place = ("shares", share["storageAccountName"], share["shareName"])
                found[volume["name"]] = self._processes.storage(*place)
            elif "emptyDir" in volume:
                found[volume["name"]] = self._processes.volume(run.target, volume["name"])
        return found

    def _see_ends(self, group: Document, run: GroupRun) -> None:
        for record in (*run.init, *run.containers):
            server = self._servers.get((run.target, record.name))
            code = server.poll() if server else None
            if server is None or code is None:
                continue
            self._forget((run.target, record.name))
            if run.phase != "stopping":
                record.ended(code, _policy(group, is_init=record in run.init), self._world.now)
            self._world.state.changed()

    def _stop_all(self, group: Document, run: GroupRun) -> None:
        if self._end_servers(run.target, group):
            return
        for record in (*run.init, *run.containers):
            if run.after_stop in ("pending", "evicted"):
                record.afresh()
            elif record.current["state"] == "Running":
                record.stopped(self._world.now)
        self._enter(group, run, run.after_stop)

    def _let_leave(self) -> None:
        """Servers of deleted groups end in their own time; then their address and store go."""
        for target in list(self._world.state.leaving):
            if not self._end_servers(target):
                self._logs.leave(target)
                self._processes.release(target)
                self._world.state.leaving.remove(target)
                self._world.state.changed()

    def _end_servers(self, target: str, group: Document | None = None) -> bool:
        """Asks all of a target to end, once; says whether any still runs."""
        for key, server in [(key, one) for key, one in self._servers.items() if key[0] == target]:
            if server.poll() is not None:
                self._forget(key)
            elif server.pid not in self._asked_to_end:
                self._asked_to_end.add(server.pid)
                server.stop()
                run = self._world.state.runs.get(str(group["id"]).lower()) if group else None
                if record := run.find(key[1]) if run else None:
                    record.tell("Killing", f"Killing container {key[1]}", self._world.now)
        return any(key[0] == target for key in self._servers)

    def _probe(self, group: Document, run: GroupRun, record: ContainerRun) -> None:
        server = self._servers.get((run.target, record.name))
        if server is None or server.poll() is not None or record.started_at is None:
            return
        container = next(one for one in group["properties"]["containers"] if one["name"] == record.name)
        now = self._world.now
        verdicts = self._probes.due(
            str(server.pid),
            server.asker,
            server.address,
            server.spec.port,
            container["properties"],
            now,
            now - record.started_at,
        )
        for verdict in verdicts:
            if verdict.failed:
                record.tell("Unhealthy", f"{verdict.kind.capitalize()} probe failed: {verdict.failed}", now, "Warning")
                self._world.state.changed()
            if verdict.is_final and verdict.kind == "liveness" and server.pid not in self._asked_to_end:
                self._asked_to_end.add(server.pid)
                record.tell("Killing", f"Container {record.name} failed liveness probe, will be restarted", now)
                server.stop()

    def _hold_frozen(self) -> None:
        groups = {run.target: apps.shape(self._world, key) for key, run in self._world.state.runs.items()}
        mounting = {server.pid for server in self._processes.mounting()} if self._faults.active else set()
        for (target, _), server in self._servers.items():
            group = groups.get(target)
            wanted = group is not None and self._faults.is_frozen(
                group["location"], group["name"], self._ticks, is_mounting=server.pid in mounting
            )
            if wanted and server.pid not in self._frozen:
                self._frozen.add(server.pid)
                server.freeze()
            elif not wanted and server.pid in self._frozen:
                self._frozen.discard(server.pid)
                server.thaw()

    def _forget(self, key: tuple[str, str]) -> None:
        pid = self._servers.pop(key).pid
        self._asked_to_end.discard(pid)
        self._frozen.discard(pid)
        self._probes.forget(str(pid))

    def _show_address(self, group: Document, run: GroupRun) -> None:
        if address := group["properties"].get("ipAddress"):
            address["ip"] = self._processes.address(run.target)

    def _enter(self, group: Document, run: GroupRun, phase: Any, provisioning: str | None = None) -> None:
        run.phase = phase
        if provisioning:
            group["properties"]["provisioningState"] = provisioning
        elif phase == "pending":
            group["properties"]["provisioningState"] = "Pending"
        self._world.state.changed()


def _policy(group: Document, *, is_init: bool) -> str:
    """An init container is to end: `Always` means for it to try again after a failure."""
    policy = str(group["properties"]["restartPolicy"])
    return "OnFailure" if is_init and policy == "Always" else policy


def _spec(
    group: Document, run: GroupRun, container: Document, volumes: Mapping[str, Path], resolver: str
) -> ServerSpec:
    properties = container["properties"]
    variables = properties.get("environmentVariables") or []
    ports = [one["port"] for one in properties.get("ports") or []]
    command = tuple(properties.get("command") or ())
    environment = {one["name"]: str(one.get("secureValue") or one.get("value") or "") for one in variables}
    if command and command[0].rpartition("/")[2] == "ollama":
        command = command[1:]  # here a command replaces the image's entry point; ours is that program
    return ServerSpec(
        target=run.target,
        container=container["name"],
        cloud="azure",
        region=group["location"],
        image=properties["image"],
        command=command,
        environment=environment,
        port=port_of(command, environment, ports),
        stop_seconds=float(group["properties"].get("graceSeconds") or GRACE_SECONDS),
        memory_bytes=int(float(group_rules.requests(container).get("memoryInGB", 0)) * _GIGABYTE),
        resolver=resolver,
        mounts={
            mount["mountPath"]: volumes[mount["name"]]
            for mount in properties.get("volumeMounts") or []
            if mount["name"] in volumes
        },
    )
