"""`arriero gateway run`: settings, listeners, signals. SIGTERM and SIGINT drain; a second one ends at once.

SIGHUP reads keys and certificates anew; SIGUSR2 has a new process take over (see succession.py). Three kinds of process
begin here: a gateway alone, the parent of several workers (crew.py), and a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from arriero.clock import SystemClock
from arriero.control.settings import GatewaySettings
from arriero.errors import ArrieroError, Problem
from arriero.gateway.config import load, read_token
from arriero.gateway.context import Context
from arriero.gateway.process import snapshot
from arriero.gateway.process.crew import Crew
from arriero.gateway.process.handover import Doors, Handed, read_all
from arriero.gateway.process.succession import Succession
from arriero.gateway.process.together import SharedGuard, SharedPool, SharedQuarantine
from arriero.gateway.server import Start, serve
from arriero.gateway.telling.lanes import COUNT, Lanes
from arriero.gateway.telling.log import Log
from arriero.gateway.telling.metrics import Metrics
from arriero.gateway.wire.upstream import Upstreams
from arriero.secret import Secret

# Those of a successor run beside them for a while.
WORKERS_LIMIT = COUNT // 2 - 2


def run(config_path: Path, workers: int | None = None) -> int:
    """Serves until a signal; 0 after a drain. Raises ArrieroError for settings or addresses that can't be used.

    `workers` replaces what the settings say.
    """
    handed = Handed.take(os.environ)
    settings = load(config_path)
    handed = replace(handed, workers=workers or handed.workers)
    settings = replace(settings, workers=handed.workers or settings.workers)
    if settings.workers > WORKERS_LIMIT:
        what = f"{settings.workers} workers are more than {WORKERS_LIMIT}"
        raise ArrieroError(Problem(what, "one for each core is enough", "workers", str(config_path)))
    token = read_token(Path(settings.admin_token_file))
    log = _open_log(settings, config_path)
    process = _Process(settings, token, config_path, handed, log)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(process.work())
    except OSError as error:
        what = f"cannot listen on {settings.listen} and {settings.control}: {error.strerror or error}"
        raise ArrieroError(Problem(what, "free the port, or set another one", file=str(config_path))) from error
    finally:
        with contextlib.suppress(OSError):
            log.close()
    return process.outlive()


class _Process:
    """This process: what it was handed, and how it ends."""

    def __init__(self, settings: GatewaySettings, token: Secret, config: Path, handed: Handed, log: Log) -> None:
        self._settings, self._token, self._config, self._handed, self._log = settings, token, config, handed, log
        self._clock, self._stop = SystemClock(), asyncio.Event()
        is_known = handed.memory >= 0
        self._lanes = Lanes(handed.memory, handed.lock) if is_known else Lanes()
        self._doors = Doors({"listen": handed.listen, "control": handed.control})
        self._state: Mapping[str, Any] | None = json.loads(read_all(handed.state)) if handed.state >= 0 else None
        self._succession: Succession | None = None
        self._is_told = False
        self._passed_on = 0

    def work(self) -> Coroutine[None, None, None]:
        if self._handed.is_worker:
            return self._as_worker()
        return self._as_parent() if self._settings.workers > 1 else self._alone()

    def outlive(self) -> int:
        """The first process of a container has to stay as long as its successors: with it the container would end."""
        process = self._succession.process if self._succession else None
        if process is None or os.getpid() != 1:
            return 0
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, lambda got, _: self._pass_on(got))
        code = 0
        with contextlib.suppress(ChildProcessError):
            while True:
                # A successor's successor becomes a child of the first process when the one between ends.
                code = os.waitstatus_to_exitcode(os.wait()[1])
                if self._passed_on:
                    _send_to_children(self._passed_on)
        return code

    def _pass_on(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            self._passed_on = number
        _send_to_children(number)

    async def _alone(self) -> None:
        context = self._context(self._settings)
        start = Start(self._doors, self._state)

        async def state() -> Mapping[str, Any]:
            start.stop_orders()
            return snapshot.taken(context)

        def done() -> None:
            context.is_handing_over = True

        await self._serve(context, start, self._succeed(state, done, start.listen_again))

    async def _as_worker(self) -> None:
        settings = replace(self._settings, targets_file="")
        context = self._context(settings)
        start = Start(self._doors, self._state or {}, socket.socket(fileno=self._handed.line))

        def leave(_: object) -> dict[str, Any]:
            context.is_handing_over = True
            self._stop.set()
            return {}

        start.orders["POST", "/leave"] = leave
        parent, loop = os.pidfd_open(os.getppid()), asyncio.get_running_loop()

        def lost_parent() -> None:
            loop.remove_reader(parent)
            self._told_to_stop()

        loop.add_reader(parent, lost_parent)
        await self._serve(context, start, lambda: None)

    async def _as_parent(self) -> None:
        crew = Crew(self._settings, self._token, self._config, self._doors, self._lanes, self._clock, self._report)
        begin = self._succeed(crew.stop_orders, crew.hand_over, crew.take_orders)
        self._on_signals(begin)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, crew.renew)
        crew.orders["POST", "/restart"] = lambda: _told(begin)
        await crew.serve(self._state, self._stop, self._started)
        self._tell("ended")

    async def _serve(self, context: Context, start: Start, begin: Callable[[], None]) -> None:
        self._on_signals(begin)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, context.renew_now.set)
        start.orders["POST", "/restart"] = lambda _: _told(begin)
        await serve(context, self._token, self._stop, self._started, start)
        if context.spans is not None:
            context.spans.close()
        self._tell("ended")

    def _context(self, settings: GatewaySettings) -> Context:
        return Context(
            settings,
            self._clock,
            self._log,
            Upstreams(settings.limits.connect_seconds),
            pool=SharedPool(self._lanes),
            metrics=Metrics(self._lanes.own),
            guard=SharedGuard(self._lanes),
            quarantine=SharedQuarantine(self._lanes),
            lanes=self._lanes,
            spans=_spans(settings),
        )

    def _succeed(
        self,
        state: Callable[[], Awaitable[Mapping[str, Any]]],
        done: Callable[[], None],
        go_on: Callable[[], Awaitable[None]],
    ) -> Callable[[], None]:
        """The way to begin a succession."""

        def serves(pid: int) -> None:
            self._tell("handed_over", successor=pid)
            done()
            self._stop.set()

        async def failed(code: int | None) -> None:
            self._tell("not_handed_over", code=code, remedy="read what the new process said on stderr")
            await go_on()

        succession = Succession(self._config, self._doors, self._lanes, state, serves, failed, self._handed.workers)
        self._succession = succession

        def begin() -> None:
            if not self._stop.is_set() and succession.begin():
                self._tell("restarting")

        return begin

    def _on_signals(self, begin: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        loop.add_signal_handler(signal.SIGUSR2, begin)

    def _told_to_stop(self) -> None:
        if self._is_told and not self._handed.is_worker:
            os._exit(1)
        self._is_told = True
        if not self._stop.is_set():
            self._tell("draining")
        self._stop.set()

    def _started(self) -> None:
        self._tell("started")
        self._handed.tell_ready()

    def _tell(self, event: str, **fields: object) -> None:
        kind = "worker" if self._handed.is_worker else "gateway"
        self._report(f"{kind}.{event}", listen=self._settings.listen, pid=os.getpid(), **fields)

    def _report(self, event: str, **fields: object) -> None:
        self._log.tell(event, self._clock.now().isoformat(timespec="milliseconds"), **fields)


def _send_to_children(number: int) -> None:
    for pid in Path("/proc/thread-self/children").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), number)


def _told(begin: Callable[[], None]) -> dict[str, Any]:
    begin()
    return {"pid": os.getpid()}


def _spans(settings: GatewaySettings) -> Any:
    if not settings.otlp_endpoint:
        return None
    from arriero.gateway.telling.spans import Spans

    return Spans(settings.otlp_endpoint, settings.service)


def _open_log(settings: GatewaySettings, config_path: Path) -> Log:
    try:
        return Log(settings.access_log)
    except OSError as error:
        what = f"cannot write {settings.access_log}: {error.strerror}"
        raise ArrieroError(Problem(what, "give another file", "access_log", str(config_path))) from error
