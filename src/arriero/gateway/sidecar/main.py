"""`arriero gateway sidecar`: settings from the environment, a listener, a watch over Ollama. SIGTERM drains.

Tasks: `watch Ollama`, `sweep` (slow clients, twice a second), `load first` and `keep warm` (where asked for), `protect`
(on ECS only).
While it drains it still listens, so that whoever asks hears why: readiness is 503, the state says `draining`, new
requests are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Mapping

import uvloop

from arriero.clock import Clock, SystemClock
from arriero.errors import ArrieroError, Problem
from arriero.gateway.sidecar.door import Door
from arriero.gateway.sidecar.lines import Lines
from arriero.gateway.sidecar.protection import protect
from arriero.gateway.sidecar.settings import SidecarSettings
from arriero.gateway.sidecar.warmth import keep_warm, load_first, occupy
from arriero.gateway.sidecar.watch import watch
from arriero.gateway.telling.log import Log
from arriero.gateway.wire.address import split_address
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.upstream import Upstreams

CONNECT_SECONDS = 2.0
SWEEP_SECONDS = 0.5
# Edges hear that it drains before it is gone, and what they sent before that is still refused in words.
FAREWELL_SECONDS = 0.15
BACKLOG = 2048


def run(environment: Mapping[str, str]) -> int:
    """Serves until a signal, or until the process that it follows ends; raises ArrieroError for bad settings."""
    settings = SidecarSettings.of(environment)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings))
    return 0


async def _run(settings: SidecarSettings) -> None:
    clock, stop, log = SystemClock(), asyncio.Event(), Log("-")

    def told_to_stop() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop)
    lines = Lines(clock, log.write, service=settings.service, site=settings.site, pid=os.getpid())
    try:
        with _following(settings.follow):
            await serve(settings, clock, stop, lines)
    except OSError as error:
        what = f"cannot listen on {settings.listen}: {error.strerror or error}"
        raise ArrieroError(Problem(what, "free the port, or set another one", "ARRIERO_LISTEN")) from error
    finally:
        with contextlib.suppress(OSError):
            log.close()


async def serve(settings: SidecarSettings, clock: Clock, stop: asyncio.Event, lines: Lines) -> None:
    """Serves until `stop` is set, then drains. Raises OSError when the address can't be listened on."""
    upstreams = Upstreams(CONNECT_SECONDS)
    door, tell = Door(settings, clock, upstreams, lines), lines.tell
    taken = occupy(door.tally, settings.first[0]) if settings.first else 0
    host, port = split_address(settings.listen)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: ClientConnection(door), host, port, backlog=BACKLOG)
    tell("started", listen=settings.listen, ollama=settings.ollama, slots=settings.slots)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(watch(door, clock), name="watch Ollama")]
            running.append(tasks.create_task(_sweep(door), name="sweep"))
            if taken:
                first = load_first(door, taken, lambda why: tell("cold", why=why))
                running.append(tasks.create_task(first, name="load first"))
            if settings.preload:
                warm = keep_warm(door, lambda why: tell("cold", why=why))
                running.append(tasks.create_task(warm, name="keep warm"))
            if settings.ecs_agent:
                held = protect(door, lambda why: tell("unprotected", why=why))
                running.append(tasks.create_task(held, name="protect"))
            await stop.wait()
            tell("draining", open=len(door.open))
            await _drain(door)
            for task in running:
                task.cancel()
    finally:
        tell("ended")
        lines.end()
        listener.close()
        for connection in tuple(door.connections):
            connection.transport.close()
        await upstreams.close()


async def _sweep(door: Door) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = door.now()
        for connection in tuple(door.connections):
            connection.sweep(now)


async def _drain(door: Door) -> None:
    door.tally.drain()
    door.telling.changed()
    deadline = door.now() + door.settings.drain_seconds
    await asyncio.sleep(FAREWELL_SECONDS)
    while door.open and door.now() < deadline:
        await asyncio.sleep(0.02)
    for passage in tuple(door.open):
        passage.cut()
    door.telling.end()
    await asyncio.sleep(0)


@contextlib.contextmanager
def _following(pid: int) -> Iterator[None]:
    """Ends this process at once when that one ends: without its Ollama it is of no use."""
    if not pid:
        yield
        return
    try:
        held = os.pidfd_open(pid)
    except ProcessLookupError:
        raise ArrieroError(Problem(f"no process {pid}", "start Ollama first", "ARRIERO_FOLLOW")) from None
    loop = asyncio.get_running_loop()
    loop.add_reader(held, os._exit, 1)
    try:
        yield
    finally:
        loop.remove_reader(held)
        os.close(held)
