"""What goes in and out of Resource Manager: Request, Answer, and the error it answers with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Document = dict[str, Any]
"""A resource as JSON. It comes from the wire, stays inside this folder and is validated at its door (schemas.py)."""


class ArmError(Exception):
    """An answer that refuses: status, code and message as Resource Manager words them."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Answer:
    """`body` goes out as JSON; `content`, where there is any, as it is, its type being among the headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


@dataclass(frozen=True)
class Request:
    """One HTTP request; keys of `query` and `headers` are lower case, `path` is unquoted, with no slash at its end."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes = b""

    @classmethod
    def of(cls, method: str, host: str, target: str, headers: Mapping[str, str], raw: bytes) -> Request:
        parts = urlsplit(target)
        query = {key.lower(): value for key, value in parse_qsl(parts.query, keep_blank_values=True)}
        path = "/" + unquote(parts.path).strip("/")
        return cls(method, host, path, query, {key.lower(): value for key, value in headers.items()}, raw)

    @property
    def base(self) -> str:
        return f"https://{self.host}"

    @property
    def is_readable(self) -> bool:
        """Whether `document` would not raise."""
        try:
            self.document()
        except ArmError:
            return False
        return True

    def document(self) -> Document:
        """The body as a JSON object; InvalidRequestContent if it is none."""
        try:
            found = json.loads(self.raw) if self.raw else {}
        except ValueError as error:
            raise invalid_content(f"could not be deserialized: '{error}'") from error
        if not isinstance(found, dict):
            raise invalid_content("is not a JSON object")
        return found


def invalid_content(what: str) -> ArmError:
    return ArmError(400, "InvalidRequestContent", f"The request content was invalid: the body {what}.")


def refused(error: ArmError) -> Answer:
    return Answer(error.status, {"error": {"code": error.code, "message": error.message}}, error.headers)
