"""The sidecar's own log: each line is written to stdout, for the cloud's store, and kept for a while for who asks.

A line is a JSON object with `at`, `event`, `boot` (this process) and `seq` (1, 2, ...): the same line that comes by
both ways is known by these two. Whoever follows is told at once; one that does not keep up gets what it missed from the
ring, unless more came meanwhile than the ring holds. Who runs: the caller of `tell`, one timer for the heartbeats.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable

from arriero.clock import Clock
from arriero.gateway.wire.answers import Answer
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.request import Request

LINES_PATH, FOLLOW_PATH = "/arriero/lines", "/arriero/lines/follow"
CONTENT_TYPE = b"application/x-ndjson"
RING_LINES = 5_000
# An empty line, so that both ends see that the other is there.
HEARTBEAT_SECONDS = 2.0
# At most so much at once: a reader that came late must not hold up the streams.
WRITE_LINES = 500


class Lines:
    def __init__(self, clock: Clock, write: Callable[[str], None], **place: object) -> None:
        self._clock, self._write, self._place = clock, write, place
        self._boot = secrets.token_hex(4)
        self._ring: deque[bytes] = deque(maxlen=RING_LINES)
        self._readers: set[LineReader] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.count = 0

    def tell(self, event: str, **fields: object) -> None:
        """Writes it down, and tells it to all who follow."""
        self.count += 1
        at = self._clock.now().isoformat(timespec="milliseconds")
        line = {"at": at, "event": f"sidecar.{event}", "boot": self._boot, "seq": self.count, **self._place, **fields}
        text = json.dumps(line)
        self._write(text)
        self._ring.append(text.encode() + b"\n")
        for reader in tuple(self._readers):
            reader.tell()

    def answer(self) -> Answer:
        """All that is kept."""
        return Answer(200, b"".join(self._ring), CONTENT_TYPE)

    def start(self, client: ClientConnection, request: Request) -> LineReader:
        """All that is kept, and then what comes."""
        reader = LineReader(self, client, request)
        self._readers.add(reader)
        reader.tell()
        if self._timer is None:
            self._beat()
        return reader

    def after(self, seq: int) -> tuple[int, bytes]:
        """The next lines after that one, as many as may be written at once, and the number of the last of them."""
        first = self.count - len(self._ring) + 1
        start = max(seq + 1, first)
        last = min(self.count, start + WRITE_LINES - 1)
        return last, b"".join(self._ring[number - first] for number in range(start, last + 1))

    def forget(self, reader: LineReader) -> None:
        self._readers.discard(reader)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for reader in tuple(self._readers):
            reader.end()

    def _beat(self) -> None:
        self._timer = None
        for reader in tuple(self._readers):
            reader.beat()
        if self._readers:
            self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)


class LineReader:
    """The `Work` of one who follows."""

    def __init__(self, lines: Lines, client: ClientConnection, request: Request) -> None:
        self._lines, self._client = lines, client
        self._is_bare = request.is_http_1_0
        self._is_paused = client.is_blocked
        self._seq = 0
        self._soon: asyncio.Handle | None = None
        framing = b"Connection: close\r\n" if self._is_bare else b"Transfer-Encoding: chunked\r\n"
        request.close = True
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nCache-Control: no-store\r\n%b%b\r\n"
        client.transport.write(head % (CONTENT_TYPE, framing, client.headers_for(request)))

    def tell(self) -> None:
        """Writes what is new, once in a turn of the event loop."""
        if self._soon is None and not self._is_paused:
            self._soon = asyncio.get_running_loop().call_soon(self._write_on)

    def beat(self) -> None:
        if not self._is_paused:
            self._write(b"\n")

    def end(self) -> None:
        if not self._is_paused:
            self._write(self._lines.after(self._seq)[1])
        self.cancel()
        if not self._is_bare:
            self._client.transport.write(b"0\r\n\r\n")
        self._client.finish(True)

    # The client's calls

    def cancel(self) -> None:
        self._lines.forget(self)
        if self._soon is not None:
            self._soon.cancel()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self.tell()

    def _write_on(self) -> None:
        self._soon = None
        if self._is_paused or self._seq == self._lines.count:
            return
        self._seq, data = self._lines.after(self._seq)
        self._write(data)
        if self._seq < self._lines.count:
            self.tell()

    def _write(self, data: bytes) -> None:
        if data:
            self._client.transport.write(data if self._is_bare else b"%x\r\n%b\r\n" % (len(data), data))
