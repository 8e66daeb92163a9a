"""Asks targets what they have: `/api/tags`, `/api/ps`, and the version when that is not known yet.

Each second; a target whose sidecar tells its state (follow.py) only at first, when its models on disk change, and every
FOLLOWED_SECONDS. Who runs: one task for the loop, one short task a target and round. A target that is still being asked
is not asked a second time, and a slow one delays no other. All end with `Prober.run`.
"""

from __future__ import annotations

import asyncio
import contextlib

from arriero.gateway.context import Context
from arriero.gateway.routing.target import Inventory, Target
from arriero.gateway.wire.fetch import FetchFailed, fetch, models

FOLLOWED_SECONDS = 15.0
SUSPECT_SECONDS = 1.5


class Prober:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked: set[Target] = set()

    async def run(self) -> None:
        """Until cancelled."""
        context, limits = self._context, self._context.settings.limits
        async with asyncio.TaskGroup() as group:
            while True:
                context.look_now.clear()
                now = context.now()
                for target in context.pool:
                    if target not in self._asked and self._is_due(target, now):
                        self._asked.add(target)
                        group.create_task(self._ask(target), name=f"probe {target.entry.id}")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(limits.probe_every_seconds):
                        await context.look_now.wait()

    def _is_due(self, target: Target, now: float) -> bool:
        return not target.is_followed or target.state != "up" or now >= target.look_at

    async def _ask(self, target: Target) -> None:
        try:
            async with asyncio.timeout(self._patience(target)):
                inventory = await self._inventory(target)
            turn = target.answered(inventory)
            target.look_at = self._context.now() + FOLLOWED_SECONDS
        except TimeoutError:
            turn = target.missed("a probe got no answer in time")
        except FetchFailed as failure:
            turn = target.missed(str(failure))
        finally:
            self._asked.discard(target)
        if target in self._context.pool:
            self._context.tell([turn])

    def _patience(self, target: Target) -> float:
        """Who is silent already is asked for a short answer only."""
        within = self._context.settings.limits.probe_within_seconds
        return min(within, SUSPECT_SECONDS) if target.state == "suspect" else within

    async def _inventory(self, target: Target) -> Inventory:
        upstreams, address = self._context.upstreams, target.entry.address
        tags = await models(upstreams, address, "/api/tags")
        resident = await models(upstreams, address, "/api/ps")
        version = target.inventory.version
        if not version or not target.can_take:
            version = str((await fetch(upstreams, address, "/api/version")).get("version", ""))
        return Inventory(tags, resident, version)
