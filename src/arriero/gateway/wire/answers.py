"""Responses that the gateway makes itself, as bytes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from arriero.gateway.access.guard import Refusal
from arriero.gateway.words.dialects import Dialect, compact, error_body

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
TEXT = b"text/plain; charset=utf-8"
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Answer:
    """A whole response but for the headers that every response gets."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(self, status: int, body: bytes, content_type: bytes = TEXT, headers: bytes = b"") -> None:
        self.status, self.body, self.content_type, self.headers = status, body, content_type, headers

    def encode(self, more_headers: bytes, with_body: bool) -> bytes:
        kind = b"Content-Type: %b\r\n" % self.content_type if self.content_type else b""
        length = b"" if self.status == 204 else b"Content-Length: %d\r\n" % len(self.body)
        head = b"HTTP/1.1 %d %b\r\n" % (self.status, _REASONS[self.status])
        return b"".join((head, kind, length, self.headers, more_headers, b"\r\n", self.body if with_body else b""))


def json_answer(value: Any, dialect: Dialect) -> Answer:
    return Answer(200, compact(value) + (b"" if dialect.name == "native" else b"\n"), dialect.content_type)


def error_answer(dialect: Dialect, status: int, message: str, headers: bytes = b"") -> Answer:
    return Answer(status, error_body(dialect, status, message), dialect.content_type, headers)


def denial(dialect: Dialect, refusal: Refusal) -> Answer:
    """A refusal of the guard: how to show a key with 401, when to come back with Retry-After."""
    headers = b"WWW-Authenticate: Bearer\r\n" if refusal.status == 401 else b""
    if refusal.after_seconds is not None:
        headers += b"Retry-After: %d\r\n" % refusal.after_seconds
    return error_answer(dialect, refusal.status, refusal.message, headers)


def try_again(dialect: Dialect, message: str, after_seconds: int) -> Answer:
    return error_answer(dialect, 503, message, b"Retry-After: %d\r\n" % after_seconds)
