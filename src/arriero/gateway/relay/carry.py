"""How a cut answer is carried on: what another target is asked, and what the client gets of its answer. Pure.

The text so far becomes the assistant's beginning. A raw prompt just grows by it; everything else goes to the chat path,
where a prompt is a conversation of one turn. The answer comes back in the client's own dialect, with the id that its
stream began with, and its last record counts as if nothing had happened: what was carried was said, not asked.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from arriero.gateway.relay.continuation import NativeAnswer, OpenAIAnswer, Spent
from arriero.gateway.relay.kept import Kept
from arriero.gateway.words.dialects import compact
from arriero.gateway.words.templates import Reading

_JSON = json.JSONDecoder()
# Ollama drops the eldest messages of a conversation that has become too long; then the answer is another one. Prompts
# have at least two bytes a token in nearly every language and tokenizer.
_BYTES_PER_TOKEN = 2
_CONTEXT_LENGTH = 2048
# Ollama ends an answer without a last record after so many equal tokens; another target would only do so again.
_REPEATS, _TOKEN_LENGTH_LIMIT = 30, 40
_NEVER = {
    "/api/chat": ("tools", "format", "logprobs", "top_logprobs", "think"),
    "/api/generate": (
        "suffix", "images", "format", "logprobs", "top_logprobs", "think", "template", "context",
    ),
    "/v1/chat/completions": (
        "tools", "functions", "logprobs", "top_logprobs", "reasoning", "reasoning_effort", "audio", "modalities",
    ),
    "/v1/completions": ("suffix", "logprobs", "echo", "best_of"),
}  # fmt: skip
_LIMITS = {
    "/v1/chat/completions": ("max_tokens", "max_completion_tokens"),
    "/v1/completions": ("max_tokens",),
}

Body = dict[str, Any]


class CannotCarry(Exception):
    """This answer can't be carried on; the text says why, after `it`."""


@dataclass(frozen=True, slots=True)
class Carry:
    """What to send to the other target, and what reads its answer."""

    path: str
    body: bytes
    answer: NativeAnswer | OpenAIAnswer
    carried_tokens: int


def plan(
    path: str, body: bytes, kept: Kept, reading: Reading | None, spent: Spent, context_length: int | None = None
) -> Carry:
    """Raises CannotCarry where going on can't be right.

    `context_length` is what the model was loaded with, None where that is not known.
    """
    if kept.why_not:
        raise CannotCarry(kept.why_not)
    asked = _asked(body)
    _check_request(path, asked)
    text = kept.text()
    if kept.why_not:
        raise CannotCarry(kept.why_not)
    if _repeats_itself(text):
        raise CannotCarry("it repeats itself")
    if reading is None:
        raise CannotCarry("its model's template has not been read yet")
    is_raw = path == "/api/generate" and bool(asked.get("raw"))
    if text and not is_raw and not reading.goes_on:
        raise CannotCarry(reading.why_not or "its model's template has not been tried yet")
    carried = kept.said()
    to, more = _grown(path, asked, text, reading)
    _check_length(more, carried, reading.num_ctx or context_length)
    is_used_up = _lower(to, more, carried, reading)
    answer = (
        OpenAIAnswer(path, to, kept.first, kept.repeats_role, carried, is_used_up)
        if path.startswith("/v1/")
        else NativeAnswer(path, to, carried, is_used_up, spent)
    )
    return Carry(to, compact(more), answer, carried)


def _asked(body: bytes) -> Body:
    """The request, if it can be read in one way only: Go matches keys without case, and the last one wins."""
    try:
        value, _ = _JSON.raw_decode(body.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError):
        raise CannotCarry("the request is no JSON") from None
    if not isinstance(value, dict) or any(key != key.lower() for key in value):
        raise CannotCarry("the request can be read in two ways")
    return value


def _check_request(path: str, asked: Body) -> None:
    named = next((name for name in _NEVER[path] if asked.get(name)), None)
    form = asked.get("response_format")
    if named or (form and not (isinstance(form, dict) and form.get("type") == "text")):
        raise CannotCarry(f"the request asks for `{named or 'response_format'}`")
    if asked.get("n") not in (None, 1):
        raise CannotCarry("the request asks for more than one answer")
    if path.endswith(("/generate", "/completions")) and "chat" not in path:
        if not isinstance(asked.get("prompt"), str) or not asked["prompt"]:
            raise CannotCarry("the request's prompt is no text")
    elif not _is_plain(asked.get("messages"), path):
        raise CannotCarry("the request's messages are more than text")


def _is_plain(messages: Any, path: str) -> bool:
    if not isinstance(messages, list) or not messages:
        return False
    roles = ("system", "user", "assistant", "developer")[: 4 if path.startswith("/v1/") else 3]
    return all(
        isinstance(message, dict)
        and message.get("role") in roles
        and isinstance(message.get("content"), str)
        and not any(message[key] for key in message.keys() - {"role", "content", "name"})
        for message in messages
    )


def _repeats_itself(text: str) -> bool:
    return any(
        text.endswith(text[-size:] * _REPEATS) for size in range(1, min(_TOKEN_LENGTH_LIMIT, len(text) // _REPEATS) + 1)
    )


def _grown(path: str, asked: Body, text: str, reading: Reading) -> tuple[str, Body]:
    """Where to ask, and the request with the text so far in it."""
    if not text:
        return path, asked
    if "messages" in asked and "chat" in path:
        return path, {**asked, "messages": _with_answer(asked["messages"], text)}
    if asked.get("raw") and path == "/api/generate":
        return path, {**asked, "prompt": asked["prompt"] + text}
    system = asked.get("system")
    if system and reading.has_messages:
        raise CannotCarry("its model's own conversation stands between the system prompt and the question")
    messages = [{"role": "system", "content": system}] if system and path == "/api/generate" else []
    messages.append({"role": "user", "content": asked["prompt"]})
    rest = {key: value for key, value in asked.items() if key not in ("prompt", "system", "raw", "context", "echo")}
    to = "/api/chat" if path == "/api/generate" else "/v1/chat/completions"
    return to, {**rest, "messages": _with_answer(messages, text)}


def _with_answer(messages: list[Body], text: str) -> list[Body]:
    """A last assistant message grows: two in a row would be joined with an empty line between them."""
    last = messages[-1]
    if last["role"] == "assistant":
        return [*messages[:-1], {**last, "content": last["content"] + text}]
    return [*messages, {"role": "assistant", "content": text}]


def _check_length(asked: Body, carried: int, context_length: int | None) -> None:
    texts = [message["content"] for message in asked.get("messages", ())] or [str(asked.get("prompt", ""))]
    options = asked.get("options")
    wished = options.get("num_ctx") if isinstance(options, dict) else None
    limit = wished or context_length or _CONTEXT_LENGTH
    if (
        not isinstance(limit, int)
        or sum(len(text.encode("utf-8", "replace")) for text in texts) // _BYTES_PER_TOKEN + carried > limit
    ):
        raise CannotCarry("prompt and text may be longer than the model's context")


def _lower(path: str, asked: Body, carried: int, reading: Reading) -> bool:
    """Lowers the limit of tokens by what was sent; True when nothing is left of it.

    Then one more token is asked for and not passed on, since 0 means no limit, and only a target can count the prompt.
    """
    if path.startswith("/v1/"):
        place, names = asked, [name for name in _LIMITS[path] if asked.get(name) is not None] or ["max_tokens"]
    else:
        options = asked.get("options")
        place, names = dict(options) if isinstance(options, dict) else {}, ["num_predict"]
    left = None
    for name in names:
        limit = place.get(name, reading.num_predict)
        if isinstance(limit, bool) or not isinstance(limit, int | float | None):
            raise CannotCarry(f"the request's `{name}` is no number")
        if limit is not None and limit > 0:
            left = int(limit) - carried
            place[name] = max(1, left)
    if left is not None and not path.startswith("/v1/"):
        asked["options"] = place
    return left is not None and left <= 0
