"""The wire formats: Ollama's own, OpenAI's, Anthropic's. How each says "error", and how each stream says "complete".

Shapes and endings as recorded from Ollama 0.17.4 and 0.32.15; a stream is complete when its last record says so, and by
nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
_OPENAI_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_ANTHROPIC_TYPES = {**_OPENAI_TYPES, 413: "request_too_large", 503: "overloaded_error"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire format. `stream_type` is the media type of its streams, `end_of_record` what ends a record there.

    Where a record begins with `error_mark` it may be an error record; `is_error` says whether it is one.
    """

    name: str
    content_type: bytes
    stream_type: bytes
    end_of_record: bytes
    error: Callable[[int, str], Any]
    is_last_record: Callable[[bytes], bool]
    error_record: Callable[[str], bytes]
    error_mark: bytes
    is_error: Callable[[bytes], bool]


def error_body(dialect: Dialect, status: int, message: str) -> bytes:
    return compact(dialect.error(status, message)) + (b"" if dialect is NATIVE else b"\n")


def compact(value: Any) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Half a character, escaped: it can only be said escaped.
        return json.dumps(value, separators=(",", ":")).encode()


def _native_error(_: int, message: str) -> Any:
    return {"error": message}


def _openai_error(status: int, message: str) -> Any:
    kind = _OPENAI_TYPES.get(status, "api_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": _OPENAI_CODES.get(status)}}


def _anthropic_error(status: int, message: str) -> Any:
    return {"type": "error", "error": {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": message}}


def _is_last_line(records: bytes) -> bool:
    """A last line with `done: true`, or with an error that the server itself tells."""
    line = _json(records.strip().rpartition(b"\n")[2])
    return line.get("done") is True or "error" in line


def _is_error_line(line: bytes) -> bool:
    return "error" in _json(line)


def _is_error_of_openai(record: bytes) -> bool:
    return "error" in _json(_data(record))


def _is_typed_error(record: bytes) -> bool:
    return _json(_data(record)).get("type") == "error"


def _is_last_of_openai(records: bytes) -> bool:
    data = _data(records)
    return data == b"[DONE]" or (data.startswith(b'{"error"') and "error" in _json(data))


def _is_last_of_responses(records: bytes) -> bool:
    data = _data(records)
    ends = ("response.completed", "response.incomplete", "response.failed", "error")
    return data == b"[DONE]" or _json(data).get("type") in ends


def _is_last_of_anthropic(records: bytes) -> bool:
    return _json(_data(records)).get("type") in ("message_stop", "error")


def _data(records: bytes) -> bytes:
    """What the last event carries."""
    return records.strip().rpartition(b"\n")[2].removeprefix(b"data:").strip()


def _json(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _native_record(message: str) -> bytes:
    return compact({"error": message}) + b"\n"


def _openai_record(message: str) -> bytes:
    return b"data: " + compact(_openai_error(502, message)) + b"\n\n"


def _responses_record(message: str) -> bytes:
    event = {"type": "error", "code": "server_error", "message": message, "param": None}
    return b"event: error\ndata: " + compact(event) + b"\n\n"


def _anthropic_record(message: str) -> bytes:
    return b"event: error\ndata: " + compact(_anthropic_error(502, message)) + b"\n\n"


_SSE = b"text/event-stream"
NATIVE = Dialect(
    "native", b"application/json; charset=utf-8", b"application/x-ndjson", b"\n",
    _native_error, _is_last_line, _native_record, b'{"error"', _is_error_line,
)  # fmt: skip
OPENAI = Dialect(
    "openai", b"application/json", _SSE, b"\n\n",
    _openai_error, _is_last_of_openai, _openai_record, b'data: {"error"', _is_error_of_openai,
)  # fmt: skip
RESPONSES = Dialect(
    "openai", b"application/json", _SSE, b"\n\n",
    _openai_error, _is_last_of_responses, _responses_record, b"event: error", _is_typed_error,
)  # fmt: skip
ANTHROPIC = Dialect(
    "anthropic", b"application/json", _SSE, b"\n\n",
    _anthropic_error, _is_last_of_anthropic, _anthropic_record, b"event: error", _is_typed_error,
)  # fmt: skip
