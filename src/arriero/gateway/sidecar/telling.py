"""Tells the sidecar's state to all who follow it: a line at each change, and one each second if nothing changes.

Changes that come quickly one after another are told together, at most every COALESCE_SECONDS. A reader that does not
keep up misses lines in between, never the latest.
"""

from __future__ import annotations

import asyncio

from arriero.gateway.sidecar.tally import Tally
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.request import Request
from arriero.gateway.words.told import CONTENT_TYPE

HEARTBEAT_SECONDS = 1.0
COALESCE_SECONDS = 0.04


class Telling:
    """All open state streams. Who runs: one timer of the event loop, armed by `changed` and by each heartbeat."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._readers: set[Reader] = set()
        self._timer: asyncio.Handle | None = None
        self._due = 0.0
        self._told_at = -HEARTBEAT_SECONDS
        self._told_version = self._told_resident_version = -1

    def __len__(self) -> int:
        return len(self._readers)

    def start(self, client: ClientConnection, request: Request) -> Reader:
        reader = Reader(self, client, request)
        self._readers.add(reader)
        reader.tell(self._tally.told().line(with_resident=True))
        if self._timer is None:
            self._arm(HEARTBEAT_SECONDS)
        return reader

    def forget(self, reader: Reader) -> None:
        self._readers.discard(reader)

    def changed(self) -> None:
        """Something may have changed: tells it now, or a moment after what was told last."""
        if not self._readers or self._tally.version == self._told_version:
            return
        due = self._told_at + COALESCE_SECONDS
        wait = due - asyncio.get_running_loop().time()
        if wait <= 0:
            self._tell()
        elif self._timer is None or self._due > due:
            self._arm(wait)

    def whole_line(self) -> bytes:
        return self._tally.told().line(with_resident=True)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for reader in tuple(self._readers):
            reader.end()

    def _arm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._due = loop.time() + seconds
        self._timer = loop.call_later(seconds, self._tell)

    def _tell(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._readers:
            return
        tally = self._tally
        with_resident = self._told_resident_version != tally.resident_version
        line = tally.told().line(with_resident)
        self._told_at = asyncio.get_running_loop().time()
        self._told_version, self._told_resident_version = tally.version, tally.resident_version
        for reader in tuple(self._readers):
            reader.tell(line)
        self._arm(HEARTBEAT_SECONDS)


class Reader:
    """The `Work` of one who follows."""

    def __init__(self, telling: Telling, client: ClientConnection, request: Request) -> None:
        self._telling, self._client = telling, client
        self._is_bare = request.is_http_1_0
        self._is_paused = client.is_blocked
        framing = b"Connection: close\r\n" if self._is_bare else b"Transfer-Encoding: chunked\r\n"
        request.close = True
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nCache-Control: no-store\r\n%b%b\r\n"
        client.transport.write(head % (CONTENT_TYPE, framing, client.headers_for(request)))

    def tell(self, line: bytes) -> None:
        if not self._is_paused:
            self._client.transport.write(line if self._is_bare else b"%x\r\n%b\r\n" % (len(line), line))

    def end(self) -> None:
        self._telling.forget(self)
        if not self._is_bare:
            self._client.transport.write(b"0\r\n\r\n")
        self._client.finish(True)

    # The client's calls

    def cancel(self) -> None:
        self._telling.forget(self)

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self.tell(self._telling.whole_line())
