"""The running gateway: its listeners and its long-lived tasks, all started and ended here.

Tasks: those of `_long_lived`. Everything else is a call of the event loop into connection.py or upstream.py. `serve`
returns when it was told to stop and the open requests have ended, or had `drain_seconds`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine

from arriero.gateway.address import split_address
from arriero.gateway.admin import Admin, apply_targets, kept_targets
from arriero.gateway.connection import ClientConnection, Handler
from arriero.gateway.context import Context
from arriero.gateway.credentials import watched
from arriero.gateway.follow import Followers
from arriero.gateway.health import Prober
from arriero.gateway.renewal import Renewal, Watched
from arriero.gateway.router import Router
from arriero.gateway.shared import open_shared
from arriero.secret import Secret

SWEEP_SECONDS = 0.5
BACKLOG = 2048


async def serve(context: Context, token: Secret, stop: asyncio.Event, is_ready: Callable[[], None]) -> None:
    """Serves until `stop` is set, then drains.

    Raises OSError when an address can't be listened on, ArrieroError for keys and certificates that can't be used.
    """
    settings = context.settings
    files, tls = watched(context)
    context.shared = open_shared(context)
    router, admin = Router(context), Admin(context, token)
    kept = kept_targets(settings.targets_file)
    control = await _listen(admin, settings.control)
    try:
        clients = await _listen(router, settings.listen, tls.context if tls else None)
        if kept is not None:
            apply_targets(context, kept)
        is_ready()
        long_lived = _long_lived(context, files, (router, admin))
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work, name=name) for name, work in long_lived.items()]
            await stop.wait()
            await _drain(context, clients, router)
            for task in running:
                task.cancel()
    finally:
        control.close()
        _abort(router, admin)
        await context.upstreams.close()


def _long_lived(
    context: Context, files: list[Watched], handlers: tuple[Handler, ...]
) -> dict[str, Coroutine[None, None, None]]:
    """All that runs beside the event loop's calls, by name; each runs until it is cancelled."""
    tasks = {
        "probe targets": Prober(context).run(),
        "follow sidecars": Followers(context).run(),
        "sweep": _sweep(context, handlers),
        "renew credentials": Renewal(files, context.renew_now, context.report).run(),
    }
    if context.shared is not None:
        tasks["share limits"] = context.shared.run()
    return tasks


async def _listen(handler: Handler, address: str, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    host, port = split_address(address)
    loop = asyncio.get_running_loop()
    # Who opens a connection and says nothing is let go after the time that a header may take.
    seconds = handler.limits.header_seconds if tls else None
    return await loop.create_server(
        lambda: ClientConnection(handler), host, port, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=seconds
    )


async def _sweep(context: Context, handlers: tuple[Handler, ...]) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = context.now()
        for exchange in tuple(context.open):
            exchange.sweep(now)
        for handler in handlers:
            for connection in tuple(handler.connections):
                connection.sweep(now)


async def _drain(context: Context, clients: asyncio.Server, router: Router) -> None:
    """Takes no new connection, lets what is open end, and cuts what lasts too long with an explicit error."""
    context.is_draining = True
    clients.close()
    deadline = context.now() + context.settings.limits.drain_seconds
    for connection in tuple(router.connections):
        connection.retire()
    while router.connections and context.now() < deadline:
        await asyncio.sleep(0.02)
    if context.queue is not None:
        context.queue.end("the gateway is ending")
    for exchange in tuple(context.open):
        exchange.stop("the gateway is ending")
    await asyncio.sleep(0)


def _abort(*handlers: Handler) -> None:
    for handler in handlers:
        for connection in tuple(handler.connections):
            connection.transport.close()
