"""A file for a model on its way to every target that may be changed, piece by piece as it comes.

Nothing of it is kept: when a target takes no more for the moment, the client is read no further. So it goes as fast as
the slowest of them.
"""

from __future__ import annotations

from arriero.gateway.relay.changing import Changing


class Uploading(Changing):
    """The client connection's `Upload`."""

    def take(self, piece: bytes) -> None:
        self.record.received_bytes += len(piece)
        for part in self._parts:
            part.sending.take(piece)
        if any(part.sending.is_full for part in self._parts):
            self._client.transport.pause_reading()

    def complete(self) -> None:
        for part in self._parts:
            part.sending.complete()

    def room(self) -> None:
        transport = self._client.transport
        if not transport.is_closing() and not any(part.sending.is_full for part in self._parts):
            transport.resume_reading()

    def _ask(self) -> None:
        # Until all are connected, nothing could be passed on.
        self._client.transport.pause_reading()
        super()._ask()
