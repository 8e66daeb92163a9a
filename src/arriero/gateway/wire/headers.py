"""Which header lines cross the gateway, in each direction. Pure."""

from __future__ import annotations

from arriero.gateway.relay.carry import Carry
from arriero.gateway.wire.request import Request

# Hop-by-hop (RFC 9110, 7.6.1), what is written anew for the target, and what is between client and gateway only.
_NOT_FORWARDED = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization proxy-authenticate te trailer transfer-encoding"
    b" upgrade http2-settings host content-length expect origin authorization x-api-key api-key x-request-id".split()
)
_TRACEPARENT, _TRACESTATE = b"traceparent", b"tracestate"
# What the gateway reads besides, of what it passes on.
_READ = _NOT_FORWARDED | frozenset(
    b"traceparent x-forwarded-for x-azure-fdid x-arriero-warming x-arriero-migrate x-arriero-deadline-ms"
    b" x-arriero-site".split()
)
_NOT_RETURNED = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate trailer upgrade x-request-id"
    b" access-control-allow-origin".split()
)
# Of a target's answer: how long its body is, what it is, and whether it was a refusal for want of a slot.
FULL_HEADER = b"x-arriero-full"
_READ_OF_RESPONSES = frozenset((b"content-length", b"content-type", b"transfer-encoding", FULL_HEADER))


def sort_headers(request: Request) -> int:
    """One pass over a head: what the gateway reads itself, and the lines for the target. Returns the header's size."""
    headers, known, passed, size = request.headers or (), request.known, [], 0
    repeated: dict[bytes, list[bytes]] = {}
    request.headers = None
    for name, value in headers:
        size += len(name) + len(value) + 4
        key = name.lower()
        if key in _READ:
            if key in known:
                repeated.setdefault(key, []).append(value)
            else:
                known[key] = value
            if key in _NOT_FORWARDED:
                continue
        passed.append(b"%b: %b\r\n" % (name, value))
    request.passed = b"".join(passed)
    if repeated:
        request.repeated = repeated
    return size


def request_bytes(request: Request, host: bytes, carry: Carry | None = None, first: bytes = b"") -> bytes:
    """The whole request for a target; `host` is the target's own, since Ollama refuses a foreign one with 403.

    With `carry` it asks for the rest of an answer instead. A body that is still coming is left to the caller. `first`
    are lines that count before the client's own of the same name.
    """
    target, body = (request.target, request.body) if carry is None else (carry.path.encode(), carry.body)
    trace, passed, more = request.trace, request.passed, b""
    dropped = _named_by_connection(request) if b"connection" in request.known else set()
    if trace is not None and not trace.is_kept:
        more = trace.header()
        if _TRACEPARENT in request.known:
            dropped |= {_TRACEPARENT} if trace.is_state_kept else {_TRACEPARENT, _TRACESTATE}
    if dropped:
        lines = passed.splitlines(keepends=True)
        passed = b"".join(line for line in lines if line.partition(b":")[0].lower() not in dropped)
    if request.is_begun:
        more += b"Content-Length: %b\r\n" % request.length if request.length else b"Transfer-Encoding: chunked\r\n"
    elif body or request.method not in ("GET", "HEAD"):
        more += b"Content-Length: %d\r\n" % len(body)
    return b"%b %b HTTP/1.1\r\nHost: %b\r\nX-Request-Id: %b\r\n%b%b%b\r\n%b" % (
        request.method.encode(), target, host, request.id.encode(), first, passed, more, body
    )  # fmt: skip


class ResponseHead:
    """A target's head, sorted in one pass: `known` as in Request, `length` what it says of the body's, and `passed` the
    lines for the client, in one piece.
    """

    __slots__ = ("known", "length", "passed")

    def __init__(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        self.known: dict[bytes, bytes] = {}
        passed = [b"HTTP/1.1" + first[8:]]
        for line in lines:
            name, _, value = line.partition(b":")
            key = name.lower()
            if key in _READ_OF_RESPONSES:
                self.known.setdefault(key, value)
            if key not in _NOT_RETURNED:
                passed.append(line)
        # As in a request's: it is the one thing in which answers with the same head may differ.
        length = self.known.pop(b"content-length", None)
        self.length = length.strip() if length is not None else None
        self.passed = b"\r\n".join(passed)

    def with_length(self, before: bytes, length: bytes, after: bytes) -> ResponseHead:
        """The same, but for the number in its Content-Length: what is passed on is `before`, that number, `after`."""
        head = ResponseHead.__new__(ResponseHead)
        head.known, head.length, head.passed = self.known, length, b"%b%b%b" % (before, length, after)
        return head

    @property
    def media_type(self) -> bytes:
        return self.known.get(b"content-type", b"").partition(b";")[0].strip().lower()

    def encode(self, more: bytes, keeps_chunks: bool) -> bytes:
        """As the client gets it, `more` header lines added."""
        passed = self.passed
        if not keeps_chunks and b"transfer-encoding" in self.known:
            lines = passed.split(b"\r\n")
            passed = b"\r\n".join(line for line in lines if line.partition(b":")[0].lower() != b"transfer-encoding")
        return b"%b\r\n%b\r\n" % (passed, more)


NO_HEAD = ResponseHead(b"")


def _named_by_connection(request: Request) -> set[bytes]:
    return {token.strip() for value in request.all_of(b"connection") for token in value.lower().split(b",")}
