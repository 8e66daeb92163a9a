"""The TCP ingress of environments of container apps: one address an environment, at which each app has a port.

Who runs: the reconciler says at each tick which ports lead where (`tend`); an event loop in a thread of its own listens
and passes bytes on, a task a direction. A connection without a byte for four minutes is cut, by the emulator's clock:
so long Azure's load balancer, which stands before every ingress, keeps one by default
(https://learn.microsoft.com/azure/load-balancer/load-balancer-tcp-reset).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from arriero.rehearse.azure import app_rules
from arriero.rehearse.azure.ids import type_of
from arriero.rehearse.azure.types import CONTAINER_APPS, ENVIRONMENTS
from arriero.rehearse.azure.world import World
from arriero.rehearse.forwarding import LOOK_SECONDS, Loop, Timer, pass_on
from arriero.rehearse.processes import Processes

IDLE_SECONDS = 240.0

Place = tuple[str, int]


@dataclass
class AppIngress:
    """`tend` is called under the state's lock."""

    world: World
    processes: Processes
    _loop: Loop | None = None
    _open: dict[Place, tuple[Place, asyncio.Server]] = field(default_factory=dict)
    _environments: dict[str, str] = field(default_factory=dict)

    def tend(self) -> None:
        """Gives environments their address, and has each running app's port lead to its replica."""
        self._name_environments()
        wanted = dict(self._wanted())
        if not wanted and self._loop is None:
            return
        for place, (target, server) in list(self._open.items()):
            if wanted.get(place) != target:
                self._running().do(_close(server))
                del self._open[place]
        for place, target in wanted.items():
            if place not in self._open:
                with contextlib.suppress(OSError):  # tried again at the next tick
                    self._open[place] = (target, self._running().do(self._listen(place, target)))

    def stop(self) -> None:
        if self._loop is not None:
            for _, server in self._open.values():
                self._loop.do(_close(server))
            self._loop.stop()
            self._loop = None
        self._open.clear()

    def _name_environments(self) -> None:
        there = {key: one for key, one in self.world.state.resources.items() if type_of(key) == ENVIRONMENTS}
        for key, environment in there.items():
            target = self._environments.setdefault(key, f"{environment['name']}-environment")
            environment["properties"].setdefault("staticIp", self.processes.address(target))
        for key in self._environments.keys() - there.keys():
            self.processes.release(self._environments.pop(key))

    def _wanted(self) -> Iterator[tuple[Place, Place]]:
        for key, run in self.world.state.runs.items():
            if type_of(key) != CONTAINER_APPS or run.phase != "running":
                continue
            app = self.world.state.resources[key]
            environment = self.world.find(app_rules.environment_key(app)) or {"properties": {}}
            ingress = (app["properties"].get("configuration") or {}).get("ingress") or {}
            address = environment["properties"].get("staticIp")
            if address and str(ingress.get("transport", "")).lower() == "tcp":
                port = int(ingress.get("exposedPort") or ingress["targetPort"])
                yield (address, port), (self.processes.address(run.target), int(ingress["targetPort"]))

    def _running(self) -> Loop:
        if self._loop is None:
            self._loop = Loop("azure ingress")
            self._loop.start()
        return self._loop

    async def _listen(self, place: Place, target: Place) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._relay(reader, writer, place, target)

        return await asyncio.start_server(serve, *place)

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place, target: Place
    ) -> None:
        """Until one side ends, or nothing is said for too long."""
        inner: asyncio.StreamWriter | None = None
        try:
            inner_reader, inner = await asyncio.open_connection(*target, local_addr=(place[0], 0))
            timer = Timer(self.world.clock, IDLE_SECONDS)
            both = [
                asyncio.create_task(pass_on(reader, inner, timer), name="bytes of a client"),
                asyncio.create_task(pass_on(inner_reader, writer, timer), name="bytes of a replica"),
            ]
            try:
                while not any(task.done() for task in both) and not timer.is_over:
                    await asyncio.wait(both, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in both:
                    task.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except OSError:
            pass  # no server is there: the client's connection ends
        finally:
            for each in (writer, inner):
                if each is not None:
                    with contextlib.suppress(OSError):
                        each.close()


async def _close(server: asyncio.Server) -> None:
    """In the loop that listens: its sockets are no other thread's."""
    server.close()
