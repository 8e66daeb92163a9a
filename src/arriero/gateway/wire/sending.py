"""A body that goes on to a target as it comes: a model's file is larger than any memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from arriero.gateway.wire.request import Request
from arriero.gateway.wire.upstream import Upstream


class Upload(Protocol):
    """Work whose request has a body that is still coming."""

    def take(self, piece: bytes, /) -> None:
        """The next piece of it."""

    def complete(self) -> None:
        """It has come to its end."""


class Sending:
    """What of a body is sent to one target. `on_room` is called when it takes more after it was full."""

    __slots__ = ("_is_chunked", "_on_room", "_unsent", "_upstream", "is_over", "is_whole")

    def __init__(self, request: Request, on_room: Callable[[], None]) -> None:
        self._is_chunked = not request.length
        self._on_room = on_room
        self._unsent: list[bytes] = []
        self._upstream: Upstream | None = None
        self.is_over, self.is_whole = False, not request.is_begun

    def to(self, upstream: Upstream) -> None:
        """The connection is open, and the head has been sent."""
        self._upstream = upstream
        upstream.on_room = self._on_room
        upstream.transport.write(b"".join(self._unsent))
        self._unsent.clear()
        self._on_room()

    def take(self, piece: bytes) -> None:
        self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked else piece)

    def complete(self) -> None:
        self.is_whole = True
        if self._is_chunked:
            self._write(b"0\r\n\r\n")

    def end(self) -> None:
        """Nobody takes any more of it there: it answered, or broke off."""
        if self._upstream is not None and not self.is_whole:
            self._upstream.spend()
        self.is_over, self._upstream = True, None
        self._unsent.clear()
        self._on_room()

    @property
    def is_full(self) -> bool:
        return not self.is_over and (self._upstream is None or self._upstream.is_blocked)

    def _write(self, data: bytes) -> None:
        if self.is_over:
            return
        if self._upstream is None:
            self._unsent.append(data)
        else:
            self._upstream.transport.write(data)
