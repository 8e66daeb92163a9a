"""The short way of a request and of a small answer: who keeps a connection sends the same head again and again.

A read that is the former head, byte for byte but for the number of Content-Length, and exactly so many bytes of body,
means what the former one meant. The parser need not see it: it stands between two messages before and after.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from arriero.gateway.wire.headers import ResponseHead
from arriero.gateway.wire.request import Request

if TYPE_CHECKING:
    from arriero.gateway.access.guard import Credential

# Of larger bodies the sender is asked for before they are whole; their reads are seldom whole requests.
BODY_BYTES_LIMIT = 65_536
# A number that has more digits is no length within the limit.
_DIGITS = 5
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)\r\n", re.IGNORECASE)


class Pattern:
    """A head: what stands `before` its body's length, and what `after` it; of bodies up to `most_bytes`."""

    __slots__ = ("_after", "_before", "_limit", "_most_bytes")

    def __init__(self, before: bytes, after: bytes, most_bytes: int) -> None:
        self._before, self._after, self._most_bytes = before, after, most_bytes
        self._limit = len(before) + _DIGITS + 1

    def match(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The body's length, as it came, and the body; if the read is such a head with all of its body, and no more."""
        before, after = self._before, self._after
        at = len(before)
        end = data.find(b"\r", at, self._limit)
        if end < 0 or not data.startswith(before) or not data.startswith(after, end):
            return None
        length, start = data[at:end], end + len(after)
        # Digits alone: what `int` takes besides (signs, blanks) is not for us to judge.
        if not length.isdigit() or start + int(length) != len(data) or int(length) > self._most_bytes:
            return None
        return length, data[start:]


class Former:
    """What a request's head was; `credential` what its API key was found to be, once the guard has looked."""

    __slots__ = ("_pattern", "_request", "credential")

    def __init__(self, request: Request, pattern: Pattern) -> None:
        self._request, self._pattern = request, pattern
        self.credential: Credential | None = None

    def again(self, data: bytes, now: float) -> Request | None:
        """The request in this read, if it is one that begins alike and is whole, and nothing follows it."""
        found = self._pattern.match(data)
        if found is None:
            return None
        request = self._request.again(now, *found)
        request.former = self
        return request


class FormerAnswer:
    """What a target's head was, of an answer after which the connection may be kept."""

    __slots__ = ("_after", "_before", "_head", "_pattern", "status")

    def __init__(self, status: int, head: ResponseHead, before: bytes, after: bytes, pattern: Pattern) -> None:
        self.status, self._head, self._pattern = status, head, pattern
        self._before, self._after = before, after

    def again(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """Head and body of the answer in this read, if it begins alike and is whole, and nothing follows it."""
        found = self._pattern.match(data)
        return (self._head.with_length(self._before, found[0], self._after), found[1]) if found is not None else None


def former_of(request: Request, data: bytes, most_bytes: int) -> Former | None:
    """For a request that was parsed from this read, whole and alone; None if it is not one to expect again. One with a
    larger body than `most_bytes` is left to the parser, which refuses it.
    """
    if request.refusal or request.close or request.wants_continue or request.is_begun or request.is_upload:
        return None
    # It may have begun in a read before this one: then this one does not begin with the method.
    if request.length is None or not data.startswith(request.method.encode() + b" "):
        return None
    found = _pattern_of(data, request.length, len(request.body), min(most_bytes, BODY_BYTES_LIMIT))
    return Former(request.again(0.0, request.length, b""), found[1]) if found is not None else None


def former_answer_of(status: int, head: ResponseHead, data: bytes, body_bytes: int) -> FormerAnswer | None:
    """For an answer that was parsed from this read, whole and alone; None if it is not one to expect again."""
    length = head.length or b""
    found = _pattern_of(data, length, body_bytes, BODY_BYTES_LIMIT)
    if found is None or status in (204, 304) or b"transfer-encoding" in head.known or not data.startswith(b"HTTP/1.1 "):
        return None
    line, pattern = found
    # It is the only line of its name, and the status line stands before it.
    before, line, rest = head.passed.partition(b"\r\n" + line)
    return FormerAnswer(status, head, before + line, rest[len(length) :], pattern)


def _pattern_of(data: bytes, length: bytes, body_bytes: int, most_bytes: int) -> tuple[bytes, Pattern] | None:
    """The line of the length up to its number, and the pattern; None if the head does not stand alone in this read."""
    start = data.find(b"\r\n\r\n") + 4
    if start < 4 or start + body_bytes != len(data) or body_bytes > most_bytes:
        return None
    found = list(_LENGTH.finditer(data, 0, start))
    if len(found) != 1 or found[0][1] != length:
        return None
    before, after = data[: found[0].start(1)], data[found[0].end(1) : start]
    return before[found[0].start() + 2 :], Pattern(before, after, most_bytes)
