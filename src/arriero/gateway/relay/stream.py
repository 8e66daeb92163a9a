"""Watches one streamed answer: lets whole records through, and tells a complete answer from a cut one. Pure.

What is sent to the client always ends at a record's end and at a chunk's end, so another target's records, or an error
record, can follow at any moment and the client can read them. In the usual case (a read holds whole chunks with whole
records) the bytes pass as they came; else what came is held back up to the next record's end and sent in a chunk of
our own. An error record of the target's own is held back too: another target may make it untrue.
"""

from __future__ import annotations

from arriero.gateway.relay.kept import FOLD_AT, Kept
from arriero.gateway.words.dialects import Dialect

# Of an unfinished record; a last line with the context of a 128k model is about 1 MB.
HELD_BYTES_LIMIT = 16_777_216
LAST_CHUNK = b"0\r\n\r\n"


class Stream:
    """`is_chunked` says how the client gets it: as HTTP chunks, or (to an HTTP/1.0 client) bare; `comes_chunked` how
    the target sends it.

    `failure` is the error record that the target ended with, if it did; `is_complete` is known after `end` or `lose`.
    """

    __slots__ = (
        "_dialect", "_end_of_record", "_error_mark", "_held", "_is_chunked", "_is_in_step", "_pieces", "failure",
        "is_complete", "kept",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, is_chunked: bool, path: str = "", comes_chunked: bool = True) -> None:
        self._dialect = dialect
        self._end_of_record = dialect.end_of_record
        self._error_mark = dialect.error_mark
        self._is_chunked = is_chunked
        self._is_in_step = is_chunked and comes_chunked
        self._held = b""
        self.kept = Kept(path, dialect.end_of_record)
        self._pieces = self.kept.pieces
        self.failure = b""
        self.is_complete = False

    def pass_on(self, raw: bytes, pieces: list[bytes], is_at_chunk_end: bool) -> bytes:
        """The bytes for the client, of a read that does not end the answer. `pieces` is its decoded body."""
        text = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        was_in_step, self._is_in_step = self._is_in_step, is_at_chunk_end and self._is_chunked
        if (
            was_in_step
            and self._is_in_step
            and not self._held
            and text.endswith(self._end_of_record)
            and not (text.startswith(self._error_mark) or (len(pieces) > 1 and self._error_mark in text))
        ):
            self._pieces.append(text)
            if len(self._pieces) == FOLD_AT:
                self.kept.fold()
            return raw
        return self.add(self._keep(self._whole_records(text)))

    def end(self, raw: bytes, pieces: list[bytes]) -> bytes:
        """The last bytes for the client, up to the last chunk if the answer is complete, else without it."""
        text, was_in_step = b"".join(pieces), self._is_in_step and not self._held
        rest = self._held + text
        records = self._keep(self._whole_records(text))
        unended, self._held = self._held, b""
        if self.failure or (unended.strip() and self._dialect.is_error(unended)):
            self.failure = self.failure or unended
            return self.add(records)
        if self._dialect.is_last_record(unended if unended.strip() else self._last):
            self.is_complete = True
            return raw if was_in_step else self.add(rest) + self.close()
        return self.add(records)

    def lose(self) -> bytes:
        """The same for a connection that broke; an unfinished record is dropped."""
        self._held = b""
        self.is_complete = self.has_last_record
        return self.close() if self.is_complete else b""

    def cut(self, message: str) -> bytes:
        """Ends the stream well-formed, but never as if complete: with the target's own error if it told one."""
        return self.add(self.failure or self._dialect.error_record(message)) + self.close()

    def add(self, records: bytes) -> bytes:
        """Whole records, as the client gets them."""
        if not records or not self._is_chunked:
            return records
        return b"%x\r\n%b\r\n" % (len(records), records)

    def close(self) -> bytes:
        return LAST_CHUNK if self._is_chunked else b""

    @property
    def is_in_step(self) -> bool:
        """The next read may go on as it comes, if it is whole chunks of whole records."""
        return self._is_in_step and not self._held and not self.failure

    @property
    def has_last_record(self) -> bool:
        """What came last makes the answer complete."""
        return not self.failure and self._dialect.is_last_record(self._last)

    @property
    def _last(self) -> bytes:
        return self._pieces[-1] if self._pieces else b""

    def _keep(self, records: bytes) -> bytes:
        """Keeps them, up to the error record among them if there is one."""
        if self._error_mark in records:
            records = self._stop_at_error(records)
        if records.strip():
            self._pieces.append(records)
            if len(self._pieces) >= FOLD_AT:
                self.kept.fold()
        return records

    def _stop_at_error(self, records: bytes) -> bytes:
        end, before = self._end_of_record, b""
        for record in records.split(end):
            if record.strip() and self._dialect.is_error(record):
                self.failure = record.lstrip() + end
                self._is_in_step = False
                return before
            before += record + end
        return records

    def _whole_records(self, text: bytes) -> bytes:
        held = self._held + text
        found = held.rfind(self._end_of_record)
        end = found + len(self._end_of_record) if found >= 0 else 0
        if len(held) - end > HELD_BYTES_LIMIT:
            end = len(held)
        self._held = held[end:]
        return held[:end]
