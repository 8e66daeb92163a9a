"""The short way of a request: a client that keeps its connection sends the same head again and again.

A read that is the former request's head, byte for byte but for the number of Content-Length, and exactly so many bytes
of body, means what the former one meant. The parser need not see it: it stands between two requests before and after.
"""

from __future__ import annotations

import re

from arriero.gateway.wire.request import Request

# Of larger bodies the sender is asked for before they are whole; their reads are seldom whole requests.
BODY_BYTES_LIMIT = 65_536
# A number that has more digits is no length within the limit.
_DIGITS = 5
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)\r\n", re.IGNORECASE)


class Former:
    """What a request's head was: `before` its body's length and `after` it, as they came."""

    __slots__ = ("_after", "_before", "_limit", "_request")

    def __init__(self, request: Request, before: bytes, after: bytes) -> None:
        self._request, self._before, self._after = request, before, after
        self._limit = len(before) + _DIGITS + 1

    def again(self, data: bytes, now: float) -> Request | None:
        """The request in this read, if it is one that begins alike and is whole, and nothing follows it."""
        before, after = self._before, self._after
        at = len(before)
        end = data.find(b"\r", at, self._limit)
        if end < 0 or not data.startswith(before) or not data.startswith(after, end):
            return None
        length, start = data[at:end], end + len(after)
        # Digits alone: what `int` takes besides (signs, blanks) is not for us to judge.
        if not length.isdigit() or start + int(length) != len(data) or int(length) > BODY_BYTES_LIMIT:
            return None
        return self._request.again(now, length, data[start:])


def former_of(request: Request, data: bytes) -> Former | None:
    """For a request that was parsed from this read, whole and alone; None if it is not one to expect again."""
    body, length = request.body, request.length
    start = data.find(b"\r\n\r\n") + 4
    if length is None or start < 4 or start + len(body) != len(data) or len(body) > BODY_BYTES_LIMIT:
        return None
    if request.refusal or request.close or request.wants_continue or request.is_begun or request.is_upload:
        return None
    found = list(_LENGTH.finditer(data, 0, start))
    # It may have begun in a read before this one: then this one does not begin with the method.
    if len(found) != 1 or found[0][1] != length or not data.startswith(request.method.encode() + b" "):
        return None
    return Former(request.again(0.0, length, b""), data[: found[0].start(1)], data[found[0].end(1) : start])
