"""Follows what the targets' sidecars tell, at once: slots, the requests of others, residency, loading, draining.

A target that does not answer STATE_PATH as a sidecar does has none: it is asked again after PLAIN_SECONDS, and
meanwhile known by the probes of health.py alone. A stream that breaks off or falls silent makes its target suspect at
once, sooner than a probe could. Who runs: one task that looks after all streams; the lines come by calls of the event
loop.
"""

from __future__ import annotations

import asyncio

from arriero.gateway.context import Context
from arriero.gateway.routing.target import Target
from arriero.gateway.wire.upstream import Upstream
from arriero.gateway.words.told import CONTENT_TYPE, STATE_PATH, read

LOOK_SECONDS = 0.1
AGAIN_SECONDS = 0.5
PLAIN_SECONDS = 15.0
# Two heartbeats may be late.
SILENCE_SECONDS = 2.5
LINE_BYTES_LIMIT = 1_048_576


class Followers:
    """The state streams of all targets in the pool."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_target: dict[Target, Following] = {}

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._look()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for following in self._by_target.values():
                following.close()

    def _look(self) -> None:
        now, pool = self._context.now(), self._context.pool
        for target in [target for target in self._by_target if target not in pool]:
            self._by_target.pop(target).close()
        for target in pool:
            following = self._by_target.get(target)
            if following is None:
                following = self._by_target[target] = Following(self._context, target)
            following.look(now)


class Following:
    """One target's state stream, opened again when it ends. The `Receiver` of its answer."""

    def __init__(self, context: Context, target: Target) -> None:
        self._context, self._target = context, target
        self._upstream: Upstream | None = None
        self._is_open = False
        self._is_told = False
        self._rest = b""
        self._heard_at = self._ask_at = context.now()

    def look(self, now: float) -> None:
        """Opens it when it is due, and gives it up when it is silent."""
        if not self._is_open:
            if now >= self._ask_at:
                self._ask(now)
        elif now - self._heard_at > SILENCE_SECONDS:
            self.close()
            self._ended(f"its sidecar told nothing for {SILENCE_SECONDS:g} s", AGAIN_SECONDS)

    def close(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()

    # The target's calls

    def is_waiting(self) -> bool:
        return self._is_open and self._upstream is None

    def on_connected(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def on_head(self, upstream: Upstream, rest: bytes) -> None:
        if upstream.status != 200 or upstream.head.media_type != CONTENT_TYPE:
            self._end(upstream)
            self._target.has_sidecar = False
            self._ended("it has no sidecar", PLAIN_SECONDS)
            return
        self.on_data(upstream, rest)

    def on_data(self, upstream: Upstream, _: bytes) -> None:
        self._heard_at = self._context.now()
        *lines, self._rest = (self._rest + b"".join(upstream.pieces)).split(b"\n")
        try:
            turns = [self._target.told(read(line)) for line in lines]
            if len(self._rest) > LINE_BYTES_LIMIT:
                raise ValueError("a line of its sidecar's state has no end")
        except ValueError as error:
            self._end(upstream)
            self._ended(str(error), PLAIN_SECONDS)
            return
        if lines:
            self._is_told = True
            self._context.tell(turns)
            self._context.gave_back(self._target)
            if self._target.look_at == 0.0:
                self._context.look_now.set()
        if upstream.is_complete:
            self._end(upstream)
            self._ended("its sidecar has ended", AGAIN_SECONDS)

    def on_lost(self, why: str, _: bool) -> None:
        self._upstream = None
        if self._is_open:
            self._ended(f"its sidecar broke off: {why}", AGAIN_SECONDS)

    # Its own steps

    def _ask(self, now: float) -> None:
        self._is_open, self._rest, self._heard_at = True, b"", now
        upstreams = self._context.upstreams
        home = upstreams.home(self._target.entry.address)
        upstreams.ask(home, b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (STATE_PATH.encode(), home.name), self)

    def _end(self, upstream: Upstream) -> None:
        self._upstream = None
        upstream.close()

    def _ended(self, why: str, again_seconds: float) -> None:
        """Only a sidecar that told something can be missed."""
        was_told, self._is_told, self._is_open = self._is_told, False, False
        self._ask_at = self._context.now() + again_seconds
        if was_told:
            self._context.tell([self._target.lost(why)])
            self._context.look_now.set()
