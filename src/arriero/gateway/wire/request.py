"""One request as it was parsed, and the model that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote

from arriero.gateway.words.dialects import NATIVE
from arriero.gateway.words.opening import mark_of
from arriero.gateway.words.paths import dialect_of, rule_of

if TYPE_CHECKING:
    from arriero.gateway.access.guard import Caller
    from arriero.gateway.relay.warming import Warming
    from arriero.gateway.telling.trace import Trace
    from arriero.gateway.wire.repeats import Former
    from arriero.gateway.words.paths import Rule

_JSON = json.JSONDecoder()
_NONE: Mapping[bytes, list[bytes]] = MappingProxyType({})
# Paths where Ollama still reads a model's former key, `name`, when `model` is not there.
_NAMED = frozenset(("/api/show", "/api/pull", "/api/create", "/api/delete"))


class Request:
    """`refusal` is a status and sentence when it must not be served; header names are as the client wrote them.

    Once the head is whole, `known` has the first value of each header that the gateway reads itself, by its name in
    lower case, and `repeated` the further values of those that came more than once; `passed` are the lines for the
    target, in one piece. The `headers` themselves are let go: a thousand streams would hold a megabyte of them.
    `rule` and `dialect` are the path's; an unknown path has no rule.
    `caller` is whose key it came with, once the guard knows; None where no keys are set.
    `is_head_sent`: the response's head (200, the dialect's stream, chunked) went out while it was waiting for a target;
    an answer of any kind has to go on in that stream. Once `model` was asked, `streams` says that the body asks for a
    streamed answer, and `mark` stands for the beginning of its conversation. `warming` tells the client meanwhile.
    `is_upload`: a file for a model, which may be larger than any memory.
    `former`: what is known of a head that the connection sent before, and sends again with this request.
    `is_begun`: it was handled as soon as its head had come; the body goes to its `Work`, piece by piece.
    """

    __slots__ = (
        "body", "caller", "came_at", "close", "dialect", "former", "head_bytes", "headers", "host", "id", "is_begun",
        "is_head_sent", "is_http_1_0", "is_upload", "known", "length", "mark", "method", "origin", "passed", "path",
        "pieces", "refusal", "repeated", "rule", "streams", "target", "trace", "wants_continue", "warming",
    )  # fmt: skip

    def __init__(self, came_at: float) -> None:
        self.came_at = came_at
        self.method = self.path = self.origin = self.id = ""
        self.target = self.body = self.passed = b""
        self.headers: list[tuple[bytes, bytes]] | None = []
        self.known: dict[bytes, bytes] = {}
        self.repeated: Mapping[bytes, list[bytes]] = _NONE
        self.pieces: list[bytes] = []
        self.head_bytes = self.mark = 0
        self.host: str | None = None
        self.length: bytes | None = None
        self.wants_continue = self.is_http_1_0 = self.close = False
        self.is_head_sent = self.is_begun = self.is_upload = self.streams = False
        self.rule: Rule | None = None
        self.dialect = NATIVE
        self.warming: Warming | None = None
        self.refusal: tuple[int, str] | None = None
        self.caller: Caller | None = None
        self.former: Former | None = None
        self.trace: Trace | None = None

    def is_for(self, path: str) -> None:
        """From now on its path (after its method) is known, and what goes by it."""
        self.path, self.rule = path, rule_of(path)
        self.is_upload = path.startswith("/api/blobs/") and self.method == "POST"
        self.dialect = self.rule.dialect if self.rule else dialect_of(path)

    def understand(self, method: str, version: str) -> None:
        """Reads, once its head is sorted, what the gateway goes by; refuses what can be read in two ways."""
        self.method, known, target = method, self.known, self.target
        # It is the one thing in which requests with the same head may differ: see repeats.py.
        self.length = known.pop(b"content-length", None)
        if b"host" in known:
            self.host = known[b"host"].decode("latin-1")
        if b"host" in self.repeated:
            self.refuse(400, "bad request: more than one Host header")
        if version != "1.1":
            self._understand_version(version)
        elif self.host is None:
            self.refuse(400, "bad request: no Host header")
        if b"origin" in known:
            self.origin = known[b"origin"].decode("latin-1")
        if b"expect" in known:
            self.wants_continue = known[b"expect"].lower() == b"100-continue"
        if b"transfer-encoding" in known and any(
            value.lower() != b"chunked" for value in self.all_of(b"transfer-encoding")
        ):
            self.refuse(400, "bad request: only the transfer encoding `chunked` is understood")
        if not target.startswith(b"/") and not (target == b"*" and method == "OPTIONS"):
            self.refuse(400, "bad request: the target has to be a path")
        self.is_for(target.partition(b"?")[0].decode("latin-1"))

    def again(self, came_at: float, length: bytes, body: bytes) -> Request:
        """Another one with the same head but for the length of its body."""
        request = Request(came_at)
        request.method, request.path, request.rule, request.dialect = self.method, self.path, self.rule, self.dialect
        request.target, request.passed, request.head_bytes = self.target, self.passed, self.head_bytes
        request.known, request.repeated, request.headers = self.known, self.repeated, None
        request.host, request.origin, request.length, request.body = self.host, self.origin, length, body
        return request

    def all_of(self, name: bytes) -> list[bytes]:
        """Every value of this header, which is one that the gateway reads; the name in lower case."""
        return [self.known[name], *self.repeated.get(name, ())] if name in self.known else []

    def refuse(self, status: int, message: str) -> None:
        """The first reason stands; the connection ends after the answer."""
        if self.refusal is None:
            self.refusal = (status, message)
        self.close = True

    def model(self) -> str | None:
        """The model as the client wrote it; None when the body names none (the target will say what is wrong)."""
        if self.path.startswith("/v1/models/"):
            return unquote(self.path.removeprefix("/v1/models/"))
        try:
            # As in Go: the first value counts, invalid UTF-8 is replaced, keys match without case, the last one wins.
            value, _ = _JSON.raw_decode(self.body.decode("utf-8", "replace").lstrip())
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        self.mark = mark_of(value)
        self.streams = value.get("stream", self.dialect is NATIVE) is True
        named = [value[key] for key in value if len(key) == 5 and key.lower() == "model"]
        if self.path in _NAMED and not (named and named[-1]):
            named = [value[key] for key in value if key.lower() == "name"]
        return named[-1] if named and isinstance(named[-1], str) and named[-1] else None

    def _understand_version(self, version: str) -> None:
        self.is_http_1_0 = version == "1.0"
        if not self.is_http_1_0:
            self.refuse(400, "bad request: this server speaks HTTP/1.1")
        elif b"transfer-encoding" in self.known:
            self.refuse(400, "bad request: HTTP/1.0 has no transfer encoding")
