"""The short way of a streamed answer: a read that is one whole chunk of whole records goes on as it came. Pure.

A stream is thousands of such reads. The long way, through the parser and what stands behind it, touches ten functions
and their data for each; with hundreds of streams none of that is in the processor's caches any more, and it costs half
of what a chunk costs. The parser need not see what goes this way: it stands between two chunks before and after.
"""

from __future__ import annotations

from collections.abc import Callable

# Of a chunk's size in hex, with the line's end: chunks up to 256 MB.
_SIZE_LINE = 9
_ZERO = 0x30


class Express:
    """Lets chunks through that end with `end_of_record` and do not begin with `error_mark`, which is never empty.

    `write` takes the chunk; `pieces` gets its text, and `fold` is called each time that they are `fold_at`.
    """

    __slots__ = ("_end", "_error_mark", "_fold", "_fold_at", "_pieces", "_write", "reads", "sent_bytes")

    def __init__(
        self,
        write: Callable[[bytes], None],
        pieces: list[bytes],
        end_of_record: bytes,
        error_mark: bytes,
        fold: Callable[[], None],
        fold_at: int,
    ) -> None:
        self._write, self._pieces = write, pieces
        self._end = end_of_record + b"\r\n"
        self._error_mark = error_mark
        self._fold, self._fold_at = fold, fold_at
        self.reads = self.sent_bytes = 0

    def take(self, data: bytes) -> bool:
        """True: it was such a chunk, and it is on its way. False: nothing was done with it."""
        size_end = data.find(b"\r\n", 1, _SIZE_LINE)
        # A size that begins with 0 is the last chunk, or one that only the parser should judge; so are signs, spaces.
        if size_end < 0 or data[0] <= _ZERO or not data.endswith(self._end):
            return False
        size, start = data[:size_end], size_end + 2
        try:
            if not size.isalnum() or int(size, 16) + start + 2 != len(data):
                return False
        except ValueError:
            return False
        if data.startswith(self._error_mark, start):
            return False
        self._write(data)
        self.reads += 1
        self.sent_bytes += len(data)
        pieces = self._pieces
        pieces.append(data[start:-2])
        if len(pieces) >= self._fold_at:
            self._fold()
        return True
