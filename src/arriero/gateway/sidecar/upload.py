"""A model's file on its way through to Ollama, as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arriero.gateway.sidecar.passage import Passage
from arriero.gateway.wire.connection import ClientConnection
from arriero.gateway.wire.request import Request
from arriero.gateway.wire.sending import Sending
from arriero.gateway.wire.upstream import Upstream

if TYPE_CHECKING:
    from arriero.gateway.sidecar.door import Door


class FilePassage(Passage):
    """A passage whose body is still coming; it needs no slot."""

    __slots__ = ("_sending", "_sent_by")

    def __init__(self, door: Door, client: ClientConnection, request: Request) -> None:
        self._sent_by = client.transport
        self._sending = Sending(request, self._room)
        self._sent_by.pause_reading()
        super().__init__(door, client, request)

    def on_connected(self, upstream: Upstream) -> None:
        super().on_connected(upstream)
        self._sending.to(upstream)

    def on_data(self, upstream: Upstream, data: bytes) -> None:
        if upstream.is_complete:
            self._sending.end()
        super().on_data(upstream, data)

    def on_lost(self, why: str, was_reached: bool) -> None:
        self._sending.end()
        super().on_lost(why, was_reached)

    def take(self, piece: bytes) -> None:
        self._sending.take(piece)
        if self._sending.is_full:
            self._sent_by.pause_reading()

    def complete(self) -> None:
        self._sending.complete()

    def _room(self) -> None:
        if not self._sending.is_full and not self._sent_by.is_closing():
            self._sent_by.resume_reading()
