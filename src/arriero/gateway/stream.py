"""Watches one streamed answer: lets whole records through, and tells a complete answer from a cut one. Pure.

What is sent to the client always ends at a record's end and at a chunk's end, so an error record can be added at any
moment and the client can read it. In the usual case (a read holds whole chunks with whole records) the bytes pass as
they came; else what came is held back up to the next record's end and sent in a chunk of our own.
"""

from __future__ import annotations

from arriero.gateway.dialects import Dialect

# Of an unfinished record; a last line with the context of a 128k model is about 1 MB.
HELD_BYTES_LIMIT = 16_777_216
LAST_CHUNK = b"0\r\n\r\n"


class Stream:
    """`is_chunked` says how the client gets it: as HTTP chunks, or (to an HTTP/1.0 client) bare."""

    __slots__ = ("_dialect", "_end_of_record", "_held", "_is_chunked", "_is_in_step", "_last")

    def __init__(self, dialect: Dialect, is_chunked: bool) -> None:
        self._dialect = dialect
        self._end_of_record = dialect.end_of_record
        self._is_chunked = is_chunked
        self._is_in_step = is_chunked
        self._held = b""
        self._last = b""

    def pass_on(self, raw: bytes, pieces: list[bytes], is_at_chunk_end: bool) -> bytes:
        """The bytes for the client, of a read that does not end the answer. `pieces` is its decoded body."""
        text = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        was_in_step, self._is_in_step = self._is_in_step, is_at_chunk_end and self._is_chunked
        if was_in_step and self._is_in_step and not self._held and text.endswith(self._end_of_record):
            self._last = text
            return raw
        return self._chunk(self._whole_records(text))

    def end(self, raw: bytes, pieces: list[bytes], cut_message: str) -> tuple[bytes, bool]:
        """The last bytes for the client, and whether the answer is complete.

        An answer that is not gets an error record with `cut_message`: it ends well-formed, but never as if complete.
        """
        text = b"".join(pieces)
        rest = self._held + text
        if rest.strip():
            self._last = rest
        if not self._dialect.is_last_record(self._last):
            self._held = b""
            return self._chunk(self._whole_records(rest)) + self._cut(cut_message), False
        if self._is_in_step and not self._held:
            return raw, True
        return self._chunk(rest) + self._last_chunk(), True

    def lose(self, cut_message: str) -> tuple[bytes, bool]:
        """The same for a connection that broke; an unfinished record is dropped."""
        if self._dialect.is_last_record(self._last):
            return self._last_chunk(), True
        return self._cut(cut_message), False

    def _cut(self, message: str) -> bytes:
        return self._chunk(self._dialect.error_record(message)) + self._last_chunk()

    def _last_chunk(self) -> bytes:
        return LAST_CHUNK if self._is_chunked else b""

    def _whole_records(self, text: bytes) -> bytes:
        held = self._held + text
        found = held.rfind(self._end_of_record)
        end = found + len(self._end_of_record) if found >= 0 else 0
        if len(held) - end > HELD_BYTES_LIMIT:
            end = len(held)
        self._held = held[end:]
        if end:
            self._last = held[:end]
        return held[:end]

    def _chunk(self, text: bytes) -> bytes:
        if not text or not self._is_chunked:
            return text
        return b"%x\r\n%b\r\n" % (len(text), text)
