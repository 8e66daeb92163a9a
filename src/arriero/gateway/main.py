"""`arriero gateway run`: settings, listeners, signals. SIGTERM and SIGINT drain; a second one ends at once.

SIGHUP reads keys and certificates anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import uvloop

from arriero.clock import SystemClock
from arriero.control.settings import GatewaySettings
from arriero.errors import ArrieroError, Problem
from arriero.gateway.config import load, read_token
from arriero.gateway.context import Context
from arriero.gateway.log import Log
from arriero.gateway.server import serve
from arriero.gateway.upstream import Upstreams
from arriero.secret import Secret


def run(config_path: Path) -> int:
    """Serves until a signal; 0 after a drain. Raises ArrieroError for settings or addresses that can't be used."""
    settings = load(config_path)
    token = read_token(Path(settings.admin_token_file))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, token, config_path))
    return 0


async def _run(settings: GatewaySettings, token: Secret, config_path: Path) -> None:
    clock, stop = SystemClock(), asyncio.Event()
    log = _open_log(settings, config_path)
    context = Context(settings, clock, log, Upstreams(settings.limits.connect_seconds))

    def tell(event: str) -> None:
        log.tell(event, clock.now().isoformat(timespec="milliseconds"), listen=settings.listen, pid=os.getpid())

    def told_to_stop() -> None:
        if stop.is_set():
            os._exit(1)
        tell("gateway.draining")
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, context.renew_now.set)
    try:
        await serve(context, token, stop, lambda: tell("gateway.started"))
        tell("gateway.ended")
    except OSError as error:
        what = f"cannot listen on {settings.listen} and {settings.control}: {error.strerror or error}"
        raise ArrieroError(Problem(what, "free the port, or set another one", file=str(config_path))) from error
    finally:
        with contextlib.suppress(OSError):
            log.close()


def _open_log(settings: GatewaySettings, config_path: Path) -> Log:
    try:
        return Log(settings.access_log)
    except OSError as error:
        what = f"cannot write {settings.access_log}: {error.strerror}"
        raise ArrieroError(Problem(what, "give another file", "access_log", str(config_path))) from error
