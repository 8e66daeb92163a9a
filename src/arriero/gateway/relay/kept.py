"""The text of a stream so far, kept in case another target has to carry it on. Pure.

Each chunk costs an append. Every FOLD_AT reads the records become their text, still as JSON wrote it: one search that
runs in C, about a third of a microsecond a record; parsing each would cost a tenth of the chunk. It is safe because a
quote inside a JSON string is always escaped, so a key can't be found inside a text.
"""

from __future__ import annotations

import json
import re

TEXT_BYTES_LIMIT = 262_144
FOLD_AT = 16
# The last reads stay as they came: the figures of an answer may stand in a record before the last one.
_UNFOLDED = 3

_STRING = rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
# A record that says text and nothing else: with thinking, tools, log probabilities, or an end, it looks otherwise.
_TEXTS = {
    "/api/chat": re.compile(rb'"message":\{"role":"assistant","content":' + _STRING + rb'\},"done":false\}\n'),
    "/api/generate": re.compile(rb'"response":' + _STRING + rb',"done":false\}\n'),
    "/v1/chat/completions": re.compile(
        rb'"delta":\{(?:"role":"assistant",)?"content":' + _STRING + rb'\},"finish_reason":null\}\]\}\n\n'
    ),
    "/v1/completions": re.compile(
        rb'"choices":\[\{"text":' + _STRING + rb',"index":0,"finish_reason":null\}\],[^\n]*\n\n'
    ),
}
_A_TEXT = re.compile(rb'"(?:content|response|text)":\s*"[^"]')
# What an answer says besides text.
_SAID = (b'"tool_calls"', b'"thinking"', b'"reasoning')
_UNREADABLE = "\ufffd"


class Kept:
    """`path` is the request's; empty when nothing has to be kept. `pieces` are whole records as they were sent.

    `why_not` says why the text can't be carried on; then only records are counted.
    """

    __slots__ = ("_count", "_end_of_record", "_first", "_pattern", "_text", "pieces", "why_not")

    def __init__(self, path: str, end_of_record: bytes) -> None:
        self._pattern = _TEXTS.get(path)
        self._end_of_record = end_of_record
        self._text = bytearray()
        self._count = 0
        self._first = b""
        self.pieces: list[bytes] = []
        self.why_not = "" if self._pattern else "streams of this kind are not carried on"

    def fold(self) -> None:
        """Makes text of all but the last pieces."""
        self._first = self.first
        text, count = self._read(self.pieces[:-_UNFOLDED])
        del self.pieces[:-_UNFOLDED]
        self._text += text
        self._count += count
        if len(self._text) > TEXT_BYTES_LIMIT:
            self._give_up(f"its text is larger than {TEXT_BYTES_LIMIT} bytes")

    @property
    def first(self) -> bytes:
        """The first record that was sent, without its end."""
        return self._first or b"".join(self.pieces[:2]).partition(self._end_of_record)[0]

    def text(self) -> str:
        """What was said so far. Meaningless when `why_not` is not empty, which may come to light only here."""
        rest, _ = self._read(self.pieces)
        try:
            text = "" if self.why_not else str(json.loads(b'"%b%b"' % (bytes(self._text), rest), strict=False))
        except ValueError:
            text = _UNREADABLE
        if _UNREADABLE in text:
            # A server writes this for bytes that are no character, so the text is not what was generated.
            self._give_up("its text can't be read back")
        return text

    @property
    def repeats_role(self) -> bool:
        """Old servers name the role in every record, newer ones in the first alone."""
        tail = self.tail()
        return tail.count(self._end_of_record) > 1 and tail.count(b'"role":') == tail.count(self._end_of_record)

    def said(self) -> int:
        """How many records said something; all of them where that is not known."""
        return self._count + self._read(self.pieces)[1]

    def is_empty(self) -> bool:
        """No record says a text, calls a tool or thinks; False where that is not known."""
        if self._pattern is None or self._count:
            return False
        block = b"".join(self.pieces)
        return not _A_TEXT.search(block) and not any(mark in block for mark in _SAID)

    def tail(self) -> bytes:
        """The last records, as they were sent."""
        return b"".join(self.pieces[-_UNFOLDED:])

    def _read(self, pieces: list[bytes]) -> tuple[bytes, int]:
        """The text in them as JSON wrote it, and how many records said something."""
        block = b"".join(pieces)
        records = block.count(self._end_of_record)
        if self._pattern is None or self.why_not:
            return b"", records
        found = self._pattern.findall(block)
        if len(found) != records:
            self._give_up("it says more than text")
        return b"".join(found), len(found) - found.count(b"")

    def _give_up(self, why: str) -> None:
        self.why_not = self.why_not or why
        self._text = bytearray()
