"""Which header lines cross the gateway, in each direction. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arriero.gateway.relay.carry import Carry
from arriero.gateway.wire.request import Request

if TYPE_CHECKING:
    from arriero.gateway.telling.trace import Trace

# Hop-by-hop (RFC 9110, 7.6.1), what is written anew for the target, and what is between client and gateway only.
_NOT_FORWARDED = frozenset(
    b"connection keep-alive proxy-connection proxy-authorization proxy-authenticate te trailer transfer-encoding"
    b" upgrade http2-settings host content-length expect origin authorization x-api-key api-key x-request-id".split()
)
_NOT_RETURNED = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate trailer upgrade x-request-id"
    b" access-control-allow-origin".split()
)
_TRACEPARENT = frozenset((b"traceparent",))
_TRACE = frozenset((b"traceparent", b"tracestate"))


def request_bytes(request: Request, host: bytes, carry: Carry | None = None) -> bytes:
    """The whole request for a target; `host` is the target's own, since Ollama refuses a foreign one with 403.

    With `carry` it asks for the rest of an answer instead. A body that is still coming is left to the caller.
    """
    target, body = (request.target, request.body) if carry is None else (carry.path.encode(), carry.body)
    dropped = _NOT_FORWARDED | _named_by_connection(request) | _replaced(request.trace)
    lines = [
        b"%b %b HTTP/1.1\r\nHost: %b\r\nX-Request-Id: %b" % (request.method.encode(), target, host, request.id.encode())
    ]
    lines += [b"%b: %b" % (name, value) for name, value in request.headers if name.lower() not in dropped]
    trace = request.trace
    if trace is not None and not trace.is_kept:
        lines.append(trace.header())
    if request.is_begun and not request.lengths:
        lines.append(b"Transfer-Encoding: chunked")
    elif request.is_begun:
        lines.append(b"Content-Length: %b" % request.lengths[0])
    elif body or request.method not in ("GET", "HEAD"):
        lines.append(b"Content-Length: %d" % len(body))
    lines.append(b"\r\n" + body)
    return b"\r\n".join(lines)


def response_head(lines: list[bytes], more: bytes, keeps_chunks: bool) -> bytes:
    """A target's head as the client gets it, `more` header lines added."""
    kept = [b"HTTP/1.1" + lines[0][8:]]
    for line in lines[1:]:
        name = line.partition(b":")[0].lower()
        if name not in _NOT_RETURNED and (keeps_chunks or name != b"transfer-encoding"):
            kept.append(line)
    return b"\r\n".join(kept) + b"\r\n" + more + b"\r\n"


def media_type(lines: list[bytes]) -> bytes:
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-type":
            return value.partition(b";")[0].strip().lower()
    return b""


def _replaced(trace: Trace | None) -> frozenset[bytes]:
    if trace is None or trace.is_kept:
        return frozenset()
    return _TRACEPARENT if trace.is_state_kept else _TRACE


def _named_by_connection(request: Request) -> frozenset[bytes]:
    values = [value.lower() for name, value in request.headers if name.lower() == b"connection"]
    return frozenset(token.strip() for value in values for token in value.split(b","))
