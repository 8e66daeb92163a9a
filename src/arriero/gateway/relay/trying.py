"""Finds out how each model carries on, before anybody needs it: reads its template, and tries those that need trying.

Who runs: one task, one model at a time, once a digest. It asks only where nobody else asks at the moment, and only for
models that a second target has, since without one nothing can be carried on. Ends with `Trier.run`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from arriero.gateway.context import Context
from arriero.gateway.routing.target import Target
from arriero.gateway.wire.fetch import FetchFailed, fetch
from arriero.gateway.words import templates
from arriero.gateway.words.dialects import compact
from arriero.gateway.words.templates import Reading

ANSWER_SECONDS = 30.0
TRIES_LIMIT = 3
AGAIN_SECONDS = 20.0
_FOREVER_SECONDS = 366 * 86_400


class Trier:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._tries: Counter[str] = Counter()
        self._not_before: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._context.settings.limits.probe_every_seconds)
            for digest, model, target in tuple(self._unknown()):
                await self._find_out(digest, model, target)

    def _unknown(self) -> Iterator[tuple[str, str, Target]]:
        """Models of which something is not known yet, and where to ask for it now."""
        context, now = self._context, self._context.now()
        usable = [target for target in context.pool if target.can_take]
        held = Counter(digest for target in usable for digest in _digests(target))
        seen = set()
        for target in usable:
            for digest, model in _digests(target).items():
                reading = context.readings.get(digest)
                is_known = reading is not None and reading.goes_on is not None
                if is_known or held[digest] < 2 or digest in seen or now < self._not_before.get(digest, 0.0):
                    continue
                if reading is None or (target.is_resident(model) and not target.busy):
                    seen.add(digest)
                    yield digest, model, target

    async def _find_out(self, digest: str, model: str, target: Target) -> None:
        readings = self._context.readings
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                if digest not in readings:
                    readings[digest] = templates.read_show(await self._ask(target, "/api/show", {"model": model}))
                if readings[digest].goes_on is None and target.is_resident(model) and not target.busy:
                    readings[digest] = await self._try(readings[digest], model, target)
        except (FetchFailed, TimeoutError) as failure:
            self._tries[digest] += 1
            self._not_before[digest] = self._context.now() + AGAIN_SECONDS
            if self._tries[digest] >= TRIES_LIMIT:
                known = readings.get(digest, Reading(None))
                readings[digest] = replace(known, goes_on=False, why_not=f"its model could not be tried: {failure}")

    async def _try(self, reading: Reading, model: str, target: Target) -> Reading:
        resident = target.inventory.resident.get(model, {})
        length = resident.get("context_length")
        if not isinstance(length, int):
            # With another length than the one in force the server would load the model anew.
            why = "its template needs trying, and its server does not tell the context length in force"
            return replace(reading, goes_on=False, why_not=why)
        target.take(model, self._context.now())
        try:
            asked, stay = {"num_ctx": length}, _stay(resident.get("expires_at"), self._context.clock.now())
            whole, half, _ = templates.questions(model, "", asked, stay)
            answers = [await self._ask(target, "/api/chat", whole), await self._ask(target, "/api/chat", half)]
            rest = templates.questions(model, templates.said(answers[1]), asked, stay)[2]
            answers.append(await self._ask(target, "/api/chat", rest))
        finally:
            target.give_back(model)
            self._context.gave_back(target)
        if templates.does_go_on(*answers):
            return replace(reading, goes_on=True)
        return replace(reading, goes_on=False, why_not="its template begins a new answer, so it can't go on")

    async def _ask(self, target: Target, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await fetch(
            self._context.upstreams, target.entry.address, path, "POST", compact(body)
        )
        return found


def _digests(target: Target) -> dict[str, str]:
    """One name for each model on disk."""
    return {target.inventory.digest(model): model for model in target.inventory.on_disk}


def _stay(expires_at: Any, now: datetime) -> str | int | None:
    """What `keep_alive` has to be so that trying does not change how long the model stays."""
    try:
        until = datetime.fromisoformat(str(expires_at)[:19] + _zone(str(expires_at)))
    except ValueError:
        return None
    seconds = (until - now).total_seconds()
    return -1 if seconds > _FOREVER_SECONDS else f"{max(1, round(seconds))}s"


def _zone(text: str) -> str:
    """`Z`, or `+01:00` at the end; Go writes up to nine digits of a second before it, which Python does not read."""
    return "+00:00" if text.endswith("Z") else text[-6:]
