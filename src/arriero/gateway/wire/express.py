"""The short way of a streamed answer: a read that is one whole chunk of whole records goes on as it came.

A stream is thousands of such reads, and each looks like the one before. The long way, through the parser and what
stands behind it, touches ten functions and their data for each; with hundreds of streams none of that is in the
processor's caches any more. Here a chunk's frame is known from its length, so that one comparison tells that it is
whole. The parser need not see what goes this way: it stands between two chunks before and after.
"""

from __future__ import annotations

from collections.abc import Callable

# Longer chunks, and streams that begin their records otherwise than the first so many, go the long way.
CHUNK_BYTES_LIMIT = 4_096
_BEGINNINGS_LIMIT = 64

_Frames = dict[int, tuple[bytes, slice]]
_any: _Frames = {}
_frames: dict[bytes, _Frames] = {}


class Express:
    """Lets chunks through that begin with `beginning`, as the stream's records do, and end with `end_of_record`.

    `write` takes the chunk; `pieces` gets its text, and `fold` is called each time that they are `fold_at`.
    """

    __slots__ = ("_beginning", "_end", "_fold", "_fold_at", "_frames", "_pieces", "_write", "reads", "sent_bytes")

    def __init__(
        self,
        write: Callable[[bytes], None],
        pieces: list[bytes],
        beginning: bytes,
        end_of_record: bytes,
        fold: Callable[[], None],
        fold_at: int,
    ) -> None:
        self._write, self._pieces = write, pieces
        self._beginning, self._end = beginning, end_of_record + b"\r\n"
        self._fold, self._fold_at = fold, fold_at
        self._frames = _frames_of(beginning)
        self.reads = self.sent_bytes = 0

    def take(self, data: bytes) -> bool:
        """True: it was such a chunk, and it is on its way. False: nothing was done with it."""
        size = len(data)
        frame = self._frames.get(size) or _make_frame(self._frames, self._beginning, size)
        if frame is None or not data.startswith(frame[0]) or not data.endswith(self._end):
            return False
        self._write(data)
        self.reads += 1
        self.sent_bytes += size
        pieces = self._pieces
        pieces.append(data[frame[1]])
        if len(pieces) >= self._fold_at:
            self._fold()
        return True


class Passthrough:
    """The same for whoever keeps nothing but the `last` read."""

    __slots__ = ("_write", "last")

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self.last = b""

    def take(self, data: bytes) -> bool:
        frame = _any.get(len(data)) or _make_frame(_any, b"", len(data))
        if frame is None or not data.startswith(frame[0]) or not data.endswith(b"\r\n"):
            return False
        self._write(data)
        self.last = data
        return True


def _make_frame(frames: _Frames, beginning: bytes, size: int) -> tuple[bytes, slice] | None:
    """How a chunk of that many bytes begins, and where its text stands in it; None if none has that many."""
    for digits in range(1, 4 if size <= CHUNK_BYTES_LIMIT else 1):
        text_bytes = size - digits - 4
        if text_bytes > 0 and len(b"%x" % text_bytes) == digits:
            frame = frames[size] = (b"%x\r\n%b" % (text_bytes, beginning), slice(digits + 2, -2))
            return frame
    return None


def _frames_of(beginning: bytes) -> _Frames:
    """Shared by all streams whose records begin so."""
    frames = _frames.get(beginning)
    if frames is None:
        frames = {}
        if len(_frames) < _BEGINNINGS_LIMIT:
            _frames[beginning] = frames
    return frames
