"""`ollama serve` as the engine has it: reads the environment, serves until SIGTERM, which cuts every stream at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from arriero.rehearse.bond import die_with_parent
from arriero.rehearse.engine.desk import Desk
from arriero.rehearse.engine.http import Connections
from arriero.rehearse.engine.profile import BadSetting, Profile, Settings, read_profile, read_settings
from arriero.rehearse.engine.routes import Routes
from arriero.rehearse.engine.runners import Runners
from arriero.rehearse.engine.scheduler import Scheduler
from arriero.rehearse.engine.store import Model, Store


def main() -> None:
    if parent := os.environ.get("ARRIERO_PARENT"):
        die_with_parent(signal.SIGKILL, int(parent))
    if sys.argv[1:] != ["serve"]:
        sys.exit(f'Error: unknown command "{" ".join(sys.argv[1:])}" for "ollama"')
    try:
        settings, profile = read_settings(os.environ), read_profile(os.environ)
        asyncio.run(_serve(settings, profile))
    except (BadSetting, OSError) as error:
        sys.exit(f"Error: {error}")


async def _serve(settings: Settings, profile: Profile) -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
    loop.add_signal_handler(signal.SIGINT, os._exit, 0)
    _follow(os.environ.get("ARRIERO_FOLLOW", ""))
    desk = make_desk(settings, profile)
    server = await Connections(Routes(desk, settings.host)).listen(settings.host, settings.port)
    print(f"Listening on {settings.host}:{settings.port} (version {profile.version}, simulated)", flush=True)
    if settings.preloads:
        await _preload(desk, settings.models[0])
    await server.serve_forever()


def make_desk(settings: Settings, profile: Profile) -> Desk:
    store = Store(Path(settings.store) if settings.store else None, profile.models)
    store.add(settings.models)
    scheduler = Scheduler(settings.parallel, settings.max_queue, settings.max_loaded)
    return Desk(settings, profile, store, Runners(scheduler, profile.load_seconds))


async def _preload(desk: Desk, name: str) -> None:
    """What the image's entry point does with a real server: an empty request for the first model."""
    model: Model = desk.find(name)
    await desk.load(model, desk.options(model, None), desk.settings.keep_alive)
    print(f"Loaded {model.name}", flush=True)


def _follow(pid: str) -> None:
    """Ends with the process that it was told to follow, which need not be its parent."""
    if not pid:
        return
    try:
        leader = os.pidfd_open(int(pid))
    except ProcessLookupError:
        sys.exit(f"Error: process {pid}, which this server follows, is gone")
    asyncio.get_running_loop().add_reader(leader, os._exit, 0)
