"""Requests' bodies, checked as Go checks them: the same texts for the same mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from arriero.rehearse.engine.wire import parse_keep_alive

# Go's kinds of the fields that are read; what is not named here is ignored, as Ollama ignores it.
_STRING, _BOOL, _LIST, _MAP = "string", "bool", "list", "map"
FIELDS: Mapping[str, Mapping[str, str]] = {
    "GenerateRequest": {
        "model": _STRING,
        "prompt": _STRING,
        "suffix": _STRING,
        "system": _STRING,
        "template": _STRING,
        "context": _LIST,
        "stream": _BOOL,
        "raw": _BOOL,
        "options": _MAP,
        "logprobs": _BOOL,
    },
    "ChatRequest": {"model": _STRING, "messages": _LIST, "stream": _BOOL, "tools": _LIST, "options": _MAP},
    "EmbedRequest": {"model": _STRING, "truncate": _BOOL, "options": _MAP},
    "EmbeddingRequest": {"model": _STRING, "prompt": _STRING, "options": _MAP},
    "ShowRequest": {"model": _STRING, "name": _STRING},
    "PullRequest": {"model": _STRING, "name": _STRING, "stream": _BOOL},
    "CopyRequest": {"source": _STRING, "destination": _STRING},
    "DeleteRequest": {"model": _STRING, "name": _STRING},
    "CreateRequest": {"model": _STRING, "name": _STRING, "from": _STRING, "system": _STRING, "stream": _BOOL},
    "ChatCompletionRequest": {"model": _STRING, "messages": _LIST, "stream": _BOOL},
    "CompletionRequest": {"model": _STRING, "prompt": _STRING, "stream": _BOOL},
    "MessagesRequest": {"model": _STRING, "messages": _LIST, "stream": _BOOL},
    "ResponsesRequest": {"model": _STRING, "stream": _BOOL},
}
_GO_TYPES = {_STRING: "string", _BOOL: "bool", _LIST: "slice", _MAP: "map[string]interface {}"}
_PYTHON: Mapping[str, type] = {_STRING: str, _BOOL: bool, _LIST: list, _MAP: dict}

_INTEGERS = (
    "num_ctx",
    "num_predict",
    "num_keep",
    "num_batch",
    "num_gpu",
    "num_thread",
    "seed",
    "top_k",
    "repeat_last_n",
)
_FLOATS = ("temperature", "top_p", "min_p", "typical_p", "repeat_penalty", "presence_penalty", "frequency_penalty")


class Failure(Exception):
    """An error to be told to the client, in the words of Ollama."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(message)


class Malformed(Failure):
    """The body is not what any handler could take."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


def decode(body: bytes, struct: str) -> dict[str, Any]:
    """The body as a mapping; raises Malformed with the text that Go's decoder has for the mistake."""
    if not body:
        raise Malformed("missing request body")
    try:
        text = body.decode("utf-8", "replace")
        value, _ = json.JSONDecoder().raw_decode(text.lstrip())
    except json.JSONDecodeError as error:
        raise Malformed(_syntax_error(error)) from error
    if not isinstance(value, dict):
        raise Malformed(f"json: cannot unmarshal {_kind(value)} into Go value of type api.{struct}")
    for name, wanted in FIELDS[struct].items():
        found = value.get(name)
        if found is not None and not isinstance(found, _PYTHON[wanted]):
            into = f"Go struct field {struct}.{name} of type {_GO_TYPES[wanted]}"
            raise Malformed(f"json: cannot unmarshal {_kind(found)} into {into}")
    return value


def keep_alive_of(request: Mapping[str, Any], default: float) -> float:
    value = request.get("keep_alive")
    if value is None:
        return default
    try:
        return parse_keep_alive(value)
    except ValueError as error:
        raise Failure(400, str(error)) from error


def check_options(options: Mapping[str, Any]) -> None:
    """Unknown options are ignored; one of a wrong type is a 500, as recorded."""
    for name, value in options.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _INTEGERS and not is_number:
            raise Failure(500, f'option "{name}" must be of type integer')
        if name in _FLOATS and not is_number:
            raise Failure(500, f'option "{name}" must be of type float32')
        if name == "stop" and not isinstance(value, list):
            raise Failure(500, 'option "stop" must be of type array')
        if name == "stop" and not all(isinstance(one, str) for one in value):
            raise Failure(500, 'option "stop" must be of an array of strings')


def properties_of(form: Any) -> tuple[str, ...] | None:
    """The properties of the JSON that is asked for; None for free text. A wrong format is a 500, as recorded."""
    if form is None or form == "":
        return None
    if form == "json":
        return ("answer",)
    if isinstance(form, dict):
        return tuple(map(str, form.get("properties", {}))) or ("answer",)
    quoted = json.dumps(json.dumps(form, separators=(",", ":")))
    raise Failure(500, f'invalid format: {quoted}; expected "json" or a valid JSON Schema object')


def _syntax_error(error: json.JSONDecodeError) -> str:
    """Go's words for what Python's decoder found."""
    rest = error.doc[error.pos :].lstrip()
    if not rest or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    where = {
        "Expecting property name": "looking for beginning of object key string",
        "Expecting ':'": "after object key",
        "Expecting ','": "after object key:value pair",
        "Illegal trailing comma": "looking for beginning of object key string",
    }
    place = next(
        (said for start, said in where.items() if error.msg.startswith(start)), "looking for beginning of value"
    )
    character = "'\\''" if rest[0] == "'" else f"'{rest[0]}'"
    return f"invalid character {character} {place}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    kinds = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")
