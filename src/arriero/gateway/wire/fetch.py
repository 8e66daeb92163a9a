"""One small question to a server on this gateway's own account, and its JSON answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from arriero.gateway.wire.upstream import IDLE_LIMIT, Upstream, Upstreams
from arriero.gateway.words.naming import canonical

ANSWER_BYTES_LIMIT = 4_194_304


class FetchFailed(Exception):
    """The server did not say what it should; the text tells what it did instead."""


async def fetch(upstreams: Upstreams, address: str, path: str, method: str = "GET", body: bytes = b"") -> Any:
    """The JSON object that `path` at `address` (`host:port`) gives; raises FetchFailed."""
    # A server that goes closes all its kept connections at once, and each must be found out by a try of its own.
    for _ in range(IDLE_LIMIT):
        try:
            return await _Fetch.send(upstreams, address, path, method, body)
        except _Stale:
            continue
    return await _Fetch.send(upstreams, address, path, method, body)


async def models(upstreams: Upstreams, address: str, path: str) -> dict[str, Mapping[str, Any]]:
    """What `/api/tags` or `/api/ps` lists, by canonical name; raises FetchFailed."""
    found = (await fetch(upstreams, address, path)).get("models")
    if not isinstance(found, list):
        raise FetchFailed("it answered, but not as Ollama does")
    named = [model for model in found if isinstance(model, dict) and isinstance(model.get("name"), str)]
    return {canonical(model["name"]): model for model in named}


class _Stale(FetchFailed):
    """A kept connection had been closed by the server meanwhile."""


class _Fetch:
    """The Receiver of one small JSON answer."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._body = bytearray()
        self._upstream: Upstream | None = None
        self._answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()

    @classmethod
    async def send(cls, upstreams: Upstreams, address: str, path: str, method: str, body: bytes) -> Mapping[str, Any]:
        asked = cls(path)
        length = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body) if body else b""
        request = b"%b %b HTTP/1.1\r\nHost: %b\r\n%b\r\n%b" % (
            method.encode(),
            path.encode(),
            address.encode(),
            length,
            body,
        )
        upstreams.ask(upstreams.home(address), request, asked)
        try:
            return await asked._answer
        finally:
            if asked._upstream is not None:
                asked._upstream.close()

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
            self._answer.set_exception(_Stale(f"{self._path}: {why}"))
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
            self._answer.set_exception(FetchFailed(why))
