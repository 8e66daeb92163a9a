"""Keeps the site's models in memory: loads them after a start, and again when another model pushed one out.

It loads through a slot, as a request does, so that gateways hear of it; never while a request is open, and in another
model's place only after a while without any. The decision is pure. What is to be loaded `first` takes all slots from
before the first request can come, so that none waits for it here while another server could answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence

from arriero.gateway.sidecar.door import Door
from arriero.gateway.sidecar.tally import Tally
from arriero.gateway.wire.fetch import FetchFailed, fetch

LOOK_SECONDS = 0.5
# Who asked for another model a moment ago may do so again.
IDLE_SECONDS = 30.0
# A model that can't be loaded is tried again, each time after twice as long.
AGAIN_SECONDS, LONGEST_SECONDS = 15.0, 600.0
SEEN_WITHIN_SECONDS = 5.0
# As long as a gateway waits for a first byte.
WITHIN_SECONDS = 900.0


def missing(wanted: Sequence[str], tally: Tally, idle_seconds: float) -> str | None:
    """The model to load now; `wanted` are no more than fit into memory. None: nothing, or not now."""
    if not tally.answers or tally.is_draining or tally.in_flight:
        return None
    is_taken = len(tally.resident) >= len(wanted)
    absent = [model for model in wanted if model in tally.on_disk and not tally.is_resident(model)]
    if not absent or (is_taken and idle_seconds < IDLE_SECONDS):
        return None
    return absent[0]


def occupy(tally: Tally, model: str) -> int:
    """Takes all slots; how many those are. Each is to be given back."""
    taken = 0
    while tally.take(model):
        taken += 1
    return taken


async def load_first(door: Door, taken: int, tell: Callable[[str], None]) -> None:
    """Loads `first`, in the slots that `occupy` took for the first of them, and gives those back. What can't be loaded
    is told, and left to the first request that wants it.
    """
    first, tally = door.settings.first, door.tally
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            while not (tally.answers and tally.on_disk):
                await asyncio.sleep(LOOK_SECONDS / 10)
        for model in first:
            await _load(door, model, {})
        await _seen(door, first)
    except (FetchFailed, TimeoutError) as error:
        tell(f"{', '.join(first)}: not all in memory before the first request: {error or 'it took too long'}")
    finally:
        for _ in range(taken):
            tally.give_back(first[0])
        door.telling.changed()
        door.look()


async def _seen(door: Door, models: Sequence[str]) -> None:
    """Until those are known to be in memory, so that gateways hear of it before they hear of free slots. One that its
    Ollama keeps for no time is not waited for.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SEEN_WITHIN_SECONDS):
            while not all(map(door.tally.is_resident, models)):
                door.look()
                await asyncio.sleep(LOOK_SECONDS / 10)


async def keep_warm(door: Door, tell: Callable[[str], None]) -> None:
    """Until cancelled."""
    wanted, tally = door.settings.preload, door.tally
    busy_at, not_before, wait = door.now() - IDLE_SECONDS, 0.0, AGAIN_SECONDS
    while True:
        now = door.now()
        if tally.in_flight:
            busy_at = now
        model = missing(wanted, tally, now - busy_at) if now >= not_before else None
        if model is not None and tally.take(model):
            door.telling.changed()
            try:
                await _load(door, model, {"keep_alive": -1})
                wait = AGAIN_SECONDS
            except (FetchFailed, TimeoutError) as error:
                tell(f"{model} is not in memory: {error}")
                not_before, wait = door.now() + wait, min(2 * wait, LONGEST_SECONDS)
            finally:
                tally.give_back(model)
                door.telling.changed()
                door.look()
        await asyncio.sleep(LOOK_SECONDS)


async def _load(door: Door, model: str, how: Mapping[str, int]) -> None:
    """Without a prompt Ollama loads only: https://github.com/ollama/ollama/blob/main/docs/api.md#load-a-model."""
    asked = json.dumps({"model": model, "stream": False, **how}).encode()
    async with asyncio.timeout(WITHIN_SECONDS):
        await fetch(door.upstreams, door.settings.ollama, "/api/generate", "POST", asked)
