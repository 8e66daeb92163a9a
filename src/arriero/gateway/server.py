"""The running gateway: its listeners and its long-lived tasks, all started and ended here.

Tasks: those of `_long_lived`. Everything else is a call of the event loop into connection.py or upstream.py. `serve`
returns when it was told to stop and the open requests have ended, or had `drain_seconds`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from arriero.gateway.access.credentials import watched
from arriero.gateway.access.renewal import Renewal, Watched
from arriero.gateway.access.shared import open_shared
from arriero.gateway.context import Context
from arriero.gateway.process import handover, snapshot
from arriero.gateway.process.admin import Admin, Orders, apply_targets
from arriero.gateway.process.handover import Doors
from arriero.gateway.relay.router import Router
from arriero.gateway.relay.trying import Trier
from arriero.gateway.telling import exposition
from arriero.gateway.telling import families as f
from arriero.gateway.telling.lanes import Lanes
from arriero.gateway.watch.follow import Followers
from arriero.gateway.watch.health import Prober
from arriero.gateway.watch.naming import Finder
from arriero.gateway.wire.connection import ClientConnection, Handler
from arriero.secret import Secret

SWEEP_SECONDS = 0.5
# A process that takes over from another one serves once it knows its targets, or after this time.
FIRST_LOOK_SECONDS = 3.0
# Clients of a process that hands over are told with their next answer to connect anew; who asks nothing is let go.
REST_SECONDS = 10.0
NEIGHBOUR_SECONDS = 0.01


@dataclass
class Start:
    """What a process begins with: its doors, the `state` of the one before it, and how it is given orders.

    A worker has a `line` to its parent in place of a control port.
    """

    doors: Doors = field(default_factory=lambda: Doors({}))
    state: Mapping[str, Any] | None = None
    line: socket.socket | None = None
    orders: Orders = field(default_factory=dict)
    control: list[asyncio.Server] = field(default_factory=list)
    _admin: Admin = field(init=False)

    async def listen_for_orders(self, admin: Admin) -> None:
        if self.line is not None:
            await asyncio.get_running_loop().create_connection(lambda: ClientConnection(admin), sock=self.line)
        else:
            self._admin = admin
            await self.listen_again()

    async def listen_again(self) -> None:
        self.control = await listen(self._admin, self.doors.copies("control"))

    def stop_orders(self) -> None:
        """Who gives one now waits until this process listens again, or the next one does."""
        for server in self.control:
            server.close()


async def serve(
    context: Context, token: Secret, stop: asyncio.Event, is_ready: Callable[[], None], start: Start | None = None
) -> None:
    """Serves until `stop` is set, then drains.

    Raises OSError when an address can't be listened on, ArrieroError for keys and certificates that can't be used.
    """
    settings = context.settings
    files, tls = watched(context)
    context.shared = open_shared(context)
    start, clients = start or Start(), list[asyncio.Server]()
    router = Router(context)
    admin = Admin(context, token, start.orders, router.figures)
    if start.line is None:
        start.doors.open("control", settings.control)
    start.doors.open("listen", settings.listen)
    _restore(context, start.state)
    if context.lanes is not None:
        _sweep_lanes(context, context.lanes, router)
    try:
        long_lived = _long_lived(context, files, (router, admin))
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work, name=name) for name, work in long_lived.items()]
            if start.state is not None:
                await _look_first(context)
            await start.listen_for_orders(admin)
            clients += await listen(router, start.doors.copies("listen"), tls.context if tls else None)
            is_ready()
            await stop.wait()
            start.doors.close()
            await _drain(context, clients, router)
            for task in running:
                task.cancel()
    finally:
        for server in clients:
            server.close()
        _end(context, start, router, admin)
        await context.upstreams.close()


def _restore(context: Context, state: Mapping[str, Any] | None) -> None:
    """Begins where the process before this one was."""
    file = context.settings.targets_file
    state = snapshot.read(file, context.report) if state is None else state
    if not state:
        return
    try:
        targets = snapshot.restore(context, state)
    except ValueError as error:
        snapshot.refused(file, error, context.report)
        return
    apply_targets(context, targets)
    context.tell(context.pool.set_weights(snapshot.weights_of(state, targets)))


async def _look_first(context: Context) -> None:
    """Waits until every target was asked once: who is served before that is refused."""
    deadline = context.now() + FIRST_LOOK_SECONDS
    while any(target.state == "new" for target in context.pool) and context.now() < deadline:
        await asyncio.sleep(0.01)


def _long_lived(
    context: Context, files: list[Watched], handlers: tuple[Handler, ...]
) -> dict[str, Coroutine[None, None, None]]:
    """All that runs beside the event loop's calls, by name; each runs until it is cancelled."""
    tasks = {
        "probe targets": Prober(context).run(),
        "follow sidecars": Followers(context).run(),
        "read templates": Trier(context).run(),
        "sweep": _sweep(context, handlers),
        "renew credentials": Renewal(files, context.renew_now, context.report).run(),
        "keep the state": snapshot.keep_on(context),
    }
    if context.settings.targets_dns:
        tasks["find targets"] = Finder(context).run()
    if context.lanes is not None:
        tasks["watch neighbours"] = _watch_neighbours(context, context.lanes)
    if context.shared is not None:
        tasks["share limits"] = context.shared.run()
    return tasks


async def listen(
    handler: Handler, sockets: Iterable[socket.socket], tls: ssl.SSLContext | None = None
) -> list[asyncio.Server]:
    """Serves connections that come in at these sockets."""
    loop = asyncio.get_running_loop()
    # Who opens a connection and says nothing is let go after the time that a header may take.
    seconds = handler.limits.header_seconds if tls else None
    return [
        await loop.create_server(
            lambda: ClientConnection(handler),
            sock=found,
            backlog=handover.BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=seconds,
        )
        for found in sockets
    ]


async def _sweep(context: Context, handlers: tuple[Handler, ...]) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = context.now()
        for exchange in tuple(context.open):
            exchange.sweep(now)
        if context.lanes is not None:
            _sweep_lanes(context, context.lanes, handlers[0])
        for handler in handlers:
            for connection in tuple(handler.connections):
                connection.sweep(now)


def _sweep_lanes(context: Context, lanes: Lanes, clients: Handler) -> None:
    """Shows the neighbours how this process stands, and takes back what dead ones held."""
    if lanes.others:
        exposition.refresh(context, clients.connections)
    context.pool.tell_all()
    context.guard.tell_all()
    lost, lanes.lost = lanes.lost + lanes.bury(), 0
    if lost:
        context.metrics.add(f.REQUESTS_LOST, amount=lost)
        context.report("worker.lost", requests=lost)


async def _watch_neighbours(context: Context, lanes: Lanes) -> None:
    """Looks for places that neighbours gave back; who waits here hears nothing of them else."""
    while True:
        await asyncio.sleep(NEIGHBOUR_SECONDS if lanes.others else SWEEP_SECONDS)
        if context.queue is not None:
            context.queue.look_soon_at_all()


async def _drain(context: Context, clients: list[asyncio.Server], router: Router) -> None:
    """Takes no new connection, lets what is open end, and cuts what lasts too long with an explicit error.

    A process that hands over lets clients that ask nothing stay for a while: a request may be on its way to it.
    """
    context.is_draining = True
    for server in clients:
        server.close()
    began = context.now()
    rest_until = began + (REST_SECONDS if context.is_handing_over else 0.0)
    deadline = began + context.settings.limits.drain_seconds
    is_resting = True
    while router.connections and context.now() < deadline:
        if is_resting and context.now() >= rest_until:
            is_resting = False
            for connection in tuple(router.connections):
                connection.retire()
        await asyncio.sleep(0.02)
    if context.queue is not None:
        context.queue.end("the gateway is ending")
    for exchange in tuple(context.open):
        exchange.stop("the gateway is ending")
    await asyncio.sleep(0)


def _end(context: Context, start: Start, *handlers: Handler) -> None:
    start.stop_orders()
    start.doors.close()
    if not context.is_handing_over:
        snapshot.keep(context)
    if context.lanes is not None:
        context.guard.tell_all()
        context.lanes.leave()
    for handler in handlers:
        for connection in tuple(handler.connections):
            connection.transport.close()
