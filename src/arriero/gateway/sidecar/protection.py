"""Keeps ECS from scaling this task in while requests are open, and never longer than the longest one may last.

Asked of the container agent: PUT $ECS_AGENT_URI/task-protection/v1/state, whose protection ends by itself after
ExpiresInMinutes (1 to 2880), so that a sidecar that dies protects nothing for ever.
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from arriero.gateway.sidecar.door import Door
from arriero.gateway.wire.fetch import FetchFailed, fetch

LOOK_SECONDS = 0.25
# A request often follows another at once, and the agent throttles.
IDLE_SECONDS = 3.0
AGAIN_SECONDS = 5.0
RENEWED_SECONDS = 60.0
WITHIN_SECONDS = 3.0
MOST_MINUTES = 2880


@dataclass(frozen=True, slots=True)
class Wish:
    """How long the task should be protected from now on; 0: not at all."""

    minutes: int


def wished(newest_at: float | None, idle_since: float, until: float, stream_seconds: float, now: float) -> Wish | None:
    """What to ask for now, None if nothing; `until` is when the protection that was given last ends. Pure."""
    if newest_at is None:
        return Wish(0) if until > now and now - idle_since >= IDLE_SECONDS else None
    end = newest_at + stream_seconds
    if end <= now or end - until < RENEWED_SECONDS:
        return None
    return Wish(max(1, min(MOST_MINUTES, math.ceil((end - now) / 60))))


async def protect(door: Door, tell: Callable[[str], None]) -> None:
    """Until cancelled; then, or when the sidecar drains, the protection is given back."""
    until, idle_since, was_failing = 0.0, door.now(), False
    try:
        while not door.tally.is_draining:
            if not door.tally.in_flight and not until:
                door.taken.clear()
                await door.taken.wait()
            now = door.now()
            newest = max((passage.started_at for passage in door.open if passage.has_slot), default=None)
            idle_since = idle_since if newest is None else now
            wish = wished(newest, idle_since, until, door.settings.stream_seconds, now)
            pause = LOOK_SECONDS
            if wish is not None:
                try:
                    await _ask(door, wish)
                except (FetchFailed, TimeoutError) as error:
                    if not was_failing:
                        tell(f"ECS does not protect this task: {error}")
                    was_failing, pause = True, AGAIN_SECONDS
                else:
                    was_failing, until = False, (now + wish.minutes * 60) if wish.minutes else 0.0
            await asyncio.sleep(pause)
    finally:
        if until > door.now():
            try:
                await _ask(door, Wish(0))
            except (FetchFailed, TimeoutError) as error:
                tell(f"ECS was not told that this task needs no protection: {error}")


async def _ask(door: Door, wish: Wish) -> None:
    asked = (
        {"ProtectionEnabled": True, "ExpiresInMinutes": wish.minutes} if wish.minutes else {"ProtectionEnabled": False}
    )
    agent = urlsplit(door.settings.ecs_agent)
    address = agent.netloc if agent.port else f"{agent.netloc}:80"
    async with asyncio.timeout(WITHIN_SECONDS):
        path = f"{agent.path}/task-protection/v1/state"
        await fetch(door.upstreams, address, path, "PUT", json.dumps(asked).encode())
