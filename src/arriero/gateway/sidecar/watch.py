"""Watches the one Ollama: what is in its memory, each second and closer while that changes; what is on its disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from arriero.clock import Clock
from arriero.gateway.sidecar.door import Door
from arriero.gateway.wire.fetch import FetchFailed, models

CLOSELY_SECONDS = 0.08
USUALLY_SECONDS = 1.0
DISK_SECONDS = 10.0
WITHIN_SECONDS = 2.0


async def watch(door: Door, clock: Clock) -> None:
    """Until cancelled. Waits for `door.look_now`, at most as long as nothing is expected to change."""
    disk_at = 0.0
    while True:
        door.look_now.clear()
        now = door.now()
        if await _look(door, with_disk=now >= disk_at or door.is_asked_for_disk):
            disk_at, door.is_asked_for_disk = now + DISK_SECONDS, False
        door.figures.saw_loading(door.tally, door.now())
        door.telling.changed()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_wait_seconds(door, clock)):
                await door.look_now.wait()


async def _look(door: Door, with_disk: bool) -> bool:
    """Whether the disk was read too."""
    tally, upstreams, address = door.tally, door.upstreams, door.settings.ollama
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            if with_disk or not tally.answers:
                tally.saw_disk(await models(upstreams, address, "/api/tags"))
                with_disk = True
            tally.saw_memory(await models(upstreams, address, "/api/ps"))
    except TimeoutError:
        tally.missed(f"no answer within {WITHIN_SECONDS:g} s")
        return False
    except FetchFailed as failure:
        tally.missed(str(failure))
        return False
    return with_disk


def _wait_seconds(door: Door, clock: Clock) -> float:
    if door.tally.loading() or not door.tally.answers:
        return CLOSELY_SECONDS
    ends = [end for model in door.tally.resident.values() if (end := _expiry(model)) is not None]
    soon = min(ends, default=None)
    if soon is None:
        return USUALLY_SECONDS
    return min(USUALLY_SECONDS, max(CLOSELY_SECONDS, (soon - clock.now()).total_seconds()))


def _expiry(model: Mapping[str, Any]) -> datetime | None:
    """Ollama writes nanoseconds, which Python doesn't read."""
    text = str(model.get("expires_at", ""))
    day, dot, rest = text.partition(".")
    zone = rest.lstrip("0123456789") if dot else ""
    try:
        found = datetime.fromisoformat(day + zone)
    except ValueError:
        return None
    return found if found.tzinfo else None
