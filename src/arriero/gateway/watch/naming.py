"""Finds the targets by a name in DNS: who has an address there is a target, and stays one for as long as it answers.

A name's answer may hold a part of its addresses only (eight at a time with Route 53), and a DNS server that is away or
lost its records must take nobody away who serves. So names add targets; what takes one away is that DNS does not name
it and it does not answer either. One that goes tells so itself, by its sidecar. Who runs: one task.
"""

from __future__ import annotations

import asyncio

from arriero.control.messages import TargetEntry, Targets
from arriero.gateway.context import Context
from arriero.gateway.process.admin import apply_targets
from arriero.gateway.wire.address import split_address
from arriero.gateway.wire.dns import LookupFailed, Resolver

EVERY_SECONDS = 2.0
_ANSWER = ("up", "suspect")


class Finder:
    """Keeps the pool's list as DNS has it."""

    def __init__(self, context: Context, resolver: Resolver | None = None) -> None:
        settings = context.settings
        self._context = context
        self._name, self._port = split_address(settings.targets_dns)
        given = (settings.targets_resolver,) if settings.targets_resolver else ()
        self._resolver = resolver or Resolver(given)
        self._problem = ""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self) -> None:
        """Asks once. A failure is told once, and leaves everything as it is."""
        try:
            named = await self._resolver.ask(self._name)
        except LookupFailed as error:
            if str(error) != self._problem:
                self._context.report("targets.unknown", name=self._name, why=str(error))
            self._problem = str(error)
            return
        self._problem = ""
        self._context.is_told_of_targets = True
        self._take({f"{address}:{self._port}" for address in named})

    def _take(self, named: set[str]) -> None:
        pool = self._context.pool
        listed = {target.entry.address for target in pool}
        kept = {target.entry.address for target in pool if target.state in _ANSWER}
        wanted = named | kept
        if wanted != listed:
            site = self._context.settings.targets_site
            entries = tuple(TargetEntry(address, site, address) for address in sorted(wanted))
            apply_targets(self._context, Targets(entries))
