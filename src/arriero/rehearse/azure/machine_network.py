"""Network interfaces of virtual machines: their address, which is their machine's here, and whether that answers.

Who runs: the reconciler calls `tend` at each tick under the state's lock; a question to a server goes out in a thread
of its own, one at a time to each, so that no tick waits for it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from arriero.rehearse.azure import machine_rules, machines
from arriero.rehearse.azure.answers import Document
from arriero.rehearse.azure.ids import type_of
from arriero.rehearse.azure.state import State
from arriero.rehearse.azure.types import INTERFACES, VIRTUAL_MACHINES
from arriero.rehearse.azure.world import World
from arriero.rehearse.processes import Processes, Server

_NETWORKS = "microsoft.network/virtualnetworks"


@dataclass
class MachineNetwork:
    world: World
    processes: Processes
    servers: Callable[[str], Iterable[Server]]
    _named: dict[str, str] = field(default_factory=dict)
    _asked: dict[int, Future[bool]] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "azure machine"))

    def tend(self) -> None:
        """Gives interfaces their address, takes it back with them, and ends the scripts that waited for an answer."""
        there = {key: one for key, one in self.world.state.resources.items() if f"/{INTERFACES}/" in key}
        for key, interface in there.items():
            self._named[key] = machines.target_of(interface)
            if self._named[key] in self.world.state.leaving:
                continue  # of a machine that is gone: there will be another address
            for each in interface["properties"]["ipConfigurations"]:
                each["properties"].setdefault("privateIPAddress", self.processes.address(self._named[key]))
        used = {run.target for run in self.world.state.runs.values()} | set(self.world.state.leaving)
        for key in self._named.keys() - there.keys():
            if self._named[key] not in used:  # with a machine it goes when that one's servers have ended
                self.processes.release(self._named.pop(key))
        machines.tend(self.world, self._is_answering)

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _is_answering(self, target: str, port: int) -> bool | None:
        """Asked as the machine itself would, inside of it."""
        server = next((one for one in self.servers(target) if one.spec.port == port), None)
        if server is None:
            return False
        asked = self._asked.get(server.pid)
        if asked is None:
            self._asked[server.pid] = self._pool.submit(server.is_answering)
            return None
        if not asked.done():
            return None
        del self._asked[server.pid]
        return asked.result()


def prepare(interface: Document, old: Document | None) -> None:
    """What the service adds to an interface that was put; one that stands keeps its address."""
    properties = interface["properties"]
    before = {each["name"]: each["properties"] for each in old["properties"]["ipConfigurations"]} if old else {}
    properties["resourceGuid"] = old["properties"]["resourceGuid"] if old else str(uuid.uuid4())
    properties.setdefault("dnsSettings", {"dnsServers": [], "appliedDnsServers": []})
    properties.setdefault("enableAcceleratedNetworking", False)
    properties.setdefault("enableIPForwarding", False)
    for each in properties["ipConfigurations"]:
        each["id"] = f"{interface['id']}/ipConfigurations/{each['name']}"
        each["properties"].setdefault("privateIPAllocationMethod", "Dynamic")
        each["properties"].setdefault("privateIPAddressVersion", "IPv4")
        if address := before.get(each["name"], {}).get("privateIPAddress"):
            each["properties"]["privateIPAddress"] = address


def view(state: State, key: str, shown: Document) -> None:
    """Adds to a copy of an interface its machine, and to that of a network who stands in its subnets."""
    kind = type_of(key)
    if kind == INTERFACES:
        for user, machine in state.resources.items():
            if type_of(user) == VIRTUAL_MACHINES and key in machine_rules.interfaces(machine):
                shown["properties"]["virtualMachine"] = {"id": machine["id"]}
    elif kind == _NETWORKS:
        subnets = shown["properties"].get("subnets") or []
        shown["properties"]["subnets"] = [{**each, "properties": _with_inside(state, each)} for each in subnets]
    elif kind == f"{_NETWORKS}/subnets":
        shown["properties"] = _with_inside(state, shown)


def _with_inside(state: State, subnet: Document) -> Document:
    there = [one for key, one in state.resources.items() if type_of(key) == INTERFACES]
    standing = [one for one in there if str(subnet["id"]).lower() in machine_rules.subnets(one)]
    inside = [{"id": each["id"]} for one in standing for each in one["properties"]["ipConfigurations"]]
    return {**subnet["properties"], **({"ipConfigurations": inside} if inside else {})}
