"""Asks every target each second what it has: `/api/tags`, `/api/ps`, and its version when that is not known yet.

Who runs: one task for the loop, one short task a target and round. A target that is still being asked is not asked a
second time, and a slow one delays no other. All end with `Prober.run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from arriero.gateway.context import Context
from arriero.gateway.naming import canonical
from arriero.gateway.target import Inventory, Target
from arriero.gateway.upstream import Upstream

ANSWER_BYTES_LIMIT = 4_194_304


class ProbeFailed(Exception):
    """The target did not say what it should; the text tells what it did instead."""


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
                for target in context.pool:
                    if target not in self._asked:
                        self._asked.add(target)
                        group.create_task(self._ask(target), name=f"probe {target.entry.id}")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(limits.probe_every_seconds):
                        await context.look_now.wait()

    async def _ask(self, target: Target) -> None:
        try:
            async with asyncio.timeout(self._context.settings.limits.probe_within_seconds):
                inventory = await self._inventory(target)
            turn = target.answered(inventory)
        except TimeoutError:
            turn = target.missed("a probe got no answer in time")
        except ProbeFailed as failure:
            turn = target.missed(str(failure))
        finally:
            self._asked.discard(target)
        if target in self._context.pool:
            self._context.tell([turn])

    async def _inventory(self, target: Target) -> Inventory:
        tags = _by_name(await self._fetch(target, "/api/tags"))
        resident = _by_name(await self._fetch(target, "/api/ps"))
        version = target.inventory.version
        if not version or not target.can_take:
            version = str((await self._fetch(target, "/api/version")).get("version", ""))
        return Inventory(tags, resident, version)

    async def _fetch(self, target: Target, path: str) -> Mapping[str, Any]:
        home = self._context.upstreams.home(target.entry.address)
        try:
            return await _Fetch.send(self._context, home.name, target.entry.address, path)
        except _Stale:
            return await _Fetch.send(self._context, home.name, target.entry.address, path)


class _Stale(Exception):
    """A kept connection had been closed by the target meanwhile."""


class _Fetch:
    """The Receiver of one small JSON answer."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._body = bytearray()
        self._upstream: Upstream | None = None
        self._answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()

    @classmethod
    async def send(cls, context: Context, host: bytes, address: str, path: str) -> Mapping[str, Any]:
        fetch = cls(path)
        request = b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (path.encode(), host)
        context.upstreams.ask(context.upstreams.home(address), request, fetch)
        try:
            return await fetch._answer
        finally:
            if fetch._upstream is not None:
                fetch._upstream.close()

    def is_waiting(self) -> bool:
        return not self._answer.done()

    def on_connected(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def on_head(self, upstream: Upstream, rest: bytes) -> None:
        self.on_data(upstream, rest)

    def on_data(self, upstream: Upstream, _: bytes) -> None:
        self._body += b"".join(upstream.pieces)
        if len(self._body) > ANSWER_BYTES_LIMIT:
            self._upstream = None
            upstream.close()
            self._fail(f"{self._path} gave more than {ANSWER_BYTES_LIMIT} bytes")
        elif upstream.is_complete:
            self._upstream = None
            status = upstream.status
            upstream.release()
            self._finish(status)

    def on_lost(self, why: str, _: bool) -> None:
        was_kept = self._upstream is not None and self._upstream.is_reused
        self._upstream = None
        if was_kept and not self._answer.done():
            self._answer.set_exception(_Stale())
        else:
            self._fail(f"{self._path}: {why}")

    def _finish(self, status: int) -> None:
        try:
            value = json.loads(self._body)
        except (ValueError, RecursionError):
            value = None
        if status != 200 or not isinstance(value, dict):
            self._fail(f"{self._path} gave {status}" + ("" if isinstance(value, dict) else " and no JSON object"))
        elif not self._answer.done():
            self._answer.set_result(value)

    def _fail(self, why: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(ProbeFailed(why))


def _by_name(answer: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    models = answer.get("models")
    if not isinstance(models, list):
        raise ProbeFailed("it answered, but not as Ollama does")
    named = [model for model in models if isinstance(model, dict) and isinstance(model.get("name"), str)]
    return {canonical(model["name"]): model for model in named}
