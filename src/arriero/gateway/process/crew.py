"""The parent of several workers: it starts them, starts one that died anew, gives orders to all and keeps their state.

It serves no request. Each worker has its own listening socket of one port (SO_REUSEPORT), which the parent keeps open:
what waits in the queue of a worker that died is served by the one that takes its place. Orders come in at the control
port and go on to every worker over its line, a socket pair that speaks the control port's own HTTP.

Who runs: one task a worker (`keep worker N`), one that keeps the state, and one for each order.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from arriero.clock import Clock
from arriero.control.messages import GatewayStatus
from arriero.control.settings import GatewaySettings
from arriero.errors import ArrieroError, Problem
from arriero.gateway.process import snapshot
from arriero.gateway.process.desk import Desk
from arriero.gateway.process.handover import Doors, Handed, in_memory, is_ready, start
from arriero.gateway.process.line import Line, LineError
from arriero.gateway.process.together import usage_of_all
from arriero.gateway.server import listen
from arriero.gateway.telling import families as f
from arriero.gateway.telling.lanes import Lanes
from arriero.gateway.telling.metrics import Metrics
from arriero.secret import Secret

# A worker that ends sooner than this is not started anew at once.
LIVED_SECONDS = 2.0


class Worker:
    """One worker's process, and the line to it."""

    def __init__(self, process: subprocess.Popen[bytes], line: Line) -> None:
        self.process, self.line = process, line

    async def end(self) -> int:
        """Its exit code, once it has ended."""
        held = os.pidfd_open(self.process.pid)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        loop.add_reader(held, lambda: None if ended.done() else ended.set_result(None))
        try:
            await ended
        finally:
            loop.remove_reader(held)
            os.close(held)
        self.line.close()
        return self.process.wait()


class Crew:
    """`orders` are what the parent does itself: method and path to a function."""

    def __init__(
        self,
        settings: GatewaySettings,
        token: Secret,
        config: Path,
        doors: Doors,
        lanes: Lanes,
        clock: Clock,
        report: Callable[..., None],
    ) -> None:
        self.settings, self.clock = settings, clock
        self._token, self._config, self._doors, self._lanes, self._report = token, config, doors, lanes, report
        self._metrics = Metrics(lanes.own)
        self._workers: dict[int, Worker] = {}
        self._state: Mapping[str, Any] = {}
        self._is_ending = self._is_handing_over = False
        self._control: list[asyncio.Server] = []
        self.orders: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {}
        self.desk = Desk(self, token)

    async def serve(self, state: Mapping[str, Any] | None, stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Until `stop` is set and every worker has ended. Raises OSError for addresses, ArrieroError for settings."""
        settings = self.settings
        self._doors.open("control", settings.control)
        self._doors.open("listen", settings.listen, settings.workers)
        self._state = snapshot.read(settings.targets_file, self._report) if state is None else state
        firsts = [await self._start(number, self._state_of(number)) for number in range(settings.workers)]
        if not all(firsts):
            await self._end_all()
            raise ArrieroError(Problem("a worker ended at once", "read above what it said", file=str(self._config)))
        await self.take_orders()
        started()
        async with asyncio.TaskGroup() as tasks:
            keeping = [tasks.create_task(self._keep(number), name=f"keep worker {number}") for number in self._workers]
            state_kept = tasks.create_task(self._keep_state(), name="keep the state")
            await stop.wait()
            await self._end_all()
            await asyncio.wait(keeping)
            state_kept.cancel()
        for server in self._control:
            server.close()
        self._doors.close()
        self._lanes.leave()

    async def ask_all(self, method: str, path: str, body: bytes) -> list[tuple[int, Any]]:
        """Status and JSON of every worker that answers; raises LineError when none does."""
        workers = list(self._workers.values())
        answers = await asyncio.gather(
            *(worker.line.ask(method, path, body) for worker in workers), return_exceptions=True
        )
        found = [answer for answer in answers if isinstance(answer, tuple)]
        if not found:
            raise LineError("no worker answers")
        if method != "GET" and all(status == 200 for status, _ in found):
            await self._take_state()
        return found

    def together(self, statuses: list[Any]) -> dict[str, Any]:
        """The workers' statuses as one."""
        parts = [GatewayStatus.from_json({k: v for k, v in status.items() if k != "schema"}) for status in statuses]
        data = parts[0].as_json()
        data |= {"pid": os.getpid(), "workers": len(parts), "in_flight": sum(part.in_flight for part in parts)}
        return data

    def renew(self) -> None:
        for worker in self._workers.values():
            worker.process.send_signal(signal.SIGHUP)

    async def stop_orders(self) -> Mapping[str, Any]:
        """Orders wait from here on; returns the state."""
        for server in self._control:
            server.close()
        await self._take_state()
        return self._state

    async def take_orders(self) -> None:
        self._control = await listen(self.desk, self._doors.copies("control"))

    def hand_over(self) -> None:
        self._is_handing_over = True

    async def _start(self, number: int, state: Mapping[str, Any]) -> bool:
        """Whether it serves. Its line is known before: it hears orders that are given meanwhile."""
        ours, theirs = socket.socketpair()
        listening = self._doors.numbers("listen")
        mine = listening[number :: self.settings.workers] or listening[number % len(listening) :][:1]
        with theirs, in_memory(json.dumps(state).encode()) as descriptor:
            handed = Handed(
                mine, state=descriptor, memory=self._lanes.memory, lock=self._lanes.lock, line=theirs.fileno()
            )
            process, told = start(self._config, handed)
        self._workers[number] = Worker(process, await Line.over(ours, self._token))
        return await is_ready(told)

    def _state_of(self, number: int) -> Mapping[str, Any]:
        """The first worker takes over what keys have used: counted once, it counts for all."""
        return self._state if number == 0 else {**self._state, "usage": {}} if self._state else {}

    async def _keep(self, number: int) -> None:
        while True:
            began = self.clock.monotonic()
            code = await self._workers[number].end()
            if self._is_ending:
                return
            self._metrics.add(f.WORKER_DEATHS)
            self._report("worker.died", worker=number, pid=self._workers[number].process.pid, code=code)
            await asyncio.sleep(max(0.0, LIVED_SECONDS - (self.clock.monotonic() - began)))
            if self._is_ending:
                return
            await self._start(number, self._state_of(number=1))

    async def _end_all(self) -> None:
        self._is_ending = True
        if self._is_handing_over:
            await asyncio.gather(
                *(worker.line.ask("POST", "/leave", b"{}") for worker in self._workers.values()), return_exceptions=True
            )
            return
        await self._take_state()
        snapshot.keep_state(self.settings.targets_file, self._state, self._report)
        for worker in self._workers.values():
            worker.process.send_signal(signal.SIGTERM)

    async def _keep_state(self) -> None:
        while True:
            await asyncio.sleep(snapshot.EVERY_SECONDS)
            if not self._is_ending:
                await self._take_state()

    async def _take_state(self) -> None:
        """Asks the workers in turn; the state of the last time stands when none answers."""
        for worker in tuple(self._workers.values()):
            try:
                status, state = await worker.line.ask("GET", "/state", b"")
            except LineError:
                continue
            if status == 200:
                self._state = {**state, "usage": usage_of_all(self._lanes, self.clock.timestamp())}
                snapshot.keep_state(self.settings.targets_file, self._state, self._report)
                return
