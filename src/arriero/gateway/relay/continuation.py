"""Reads the answer of the target that carries a cut stream on, and writes what the client gets of it. Pure.

`take` gets the answer's body as it comes, at any split, and gives whole records in the client's dialect. Then
`is_complete` says that the last one was among them; `failure` is an error record, which is not passed on.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from arriero.gateway.words.dialects import compact

_DONE = b"[DONE]"

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spent:
    """What the former target took, in nanoseconds: from the request on, and from its first record on."""

    total: int = 0
    answering: int = 0


class _Answer(ABC):
    """Cuts the body into records. `is_used_up`: no token is left of the limit, so nothing said is passed on."""

    def __init__(self, end: bytes, carried: int, is_used_up: bool) -> None:
        self._end = end
        self._held = b""
        self._carried = carried
        self._is_used_up = is_used_up
        self._count = 0
        self.is_complete = False
        self.failure = b""

    @property
    def tokens(self) -> int:
        """Records that said something, the carried ones too."""
        return self._carried + self._count

    def take(self, body: bytes) -> bytes:
        *records, self._held = (self._held + body).split(self._end)
        written = []
        for record in records:
            if record.strip() and not self.is_complete and not self.failure:
                written.append(self._record(record.strip()))
        return b"".join(written)

    @abstractmethod
    def _record(self, record: bytes) -> bytes:
        """What the client gets of this one."""

    def _fail(self, record: bytes) -> bytes:
        self.failure = record + self._end
        return b""

    def _mark(self) -> Value:
        return {"migrated": 1, "carried_tokens": self._carried}


class NativeAnswer(_Answer):
    """Ollama's own. `path` is the client's, `asked` the one that was asked."""

    def __init__(self, path: str, asked: str, carried: int, is_used_up: bool, spent: Spent) -> None:
        super().__init__(b"\n", carried, is_used_up)
        self._is_foreign = path != asked
        self._spent = spent

    def _record(self, record: bytes) -> bytes:
        value = _object(record)
        if value is None or "error" in value:
            return self._fail(record)
        said = self._said(value)
        if value.get("done") is True:
            self.is_complete = True
            return compact(self._last(value)) + self._end
        if self._is_used_up:
            return b""
        self._count += bool(said)
        return (compact(self._generated(value)) if self._is_foreign else record) + self._end

    def _said(self, value: Value) -> Any:
        message = value.get("message")
        return value.get("response") or (message.get("content") if isinstance(message, dict) else "")

    def _generated(self, value: Value) -> Value:
        """A record of the chat path as the generate path has it, its fields in the same order."""
        return {
            "response" if key == "message" else key: self._said(value) if key == "message" else field
            for key, field in value.items()
        }

    def _last(self, value: Value) -> Value:
        value = self._generated(value) if self._is_foreign else dict(value)
        if self._is_used_up:
            value |= {"done_reason": "length", "eval_count": 0}
        prompt = _number(value, "prompt_eval_count") - self._carried
        value["prompt_eval_count"] = max(0, prompt)
        value["eval_count"] = _number(value, "eval_count") + self._carried
        value["total_duration"] = _number(value, "total_duration") + self._spent.total
        value["eval_duration"] = _number(value, "eval_duration") + self._spent.answering
        return {**value, "arriero": self._mark()}


class OpenAIAnswer(_Answer):
    """OpenAI's events. `first` is the event that the client's stream began with (empty: it had none yet).

    The role is not named a second time, unless all events of the stream name it (`repeats_role`).
    """

    def __init__(self, path: str, asked: str, first: bytes, repeats_role: bool, carried: int, is_used_up: bool) -> None:
        super().__init__(b"\n\n", carried, is_used_up)
        self._is_foreign = path != asked
        self._repeats_role = repeats_role
        self._first = _object(_data(first)) if first else None

    def _record(self, record: bytes) -> bytes:
        data = _data(record)
        if data == _DONE:
            self.is_complete = True
            return b"data: [DONE]" + self._end
        value = _object(data)
        if value is None or "error" in value:
            return self._fail(record)
        choices = [choice for choice in value.get("choices") or () if isinstance(choice, dict)]
        is_last = not choices or any(choice.get("finish_reason") for choice in choices)
        if self._is_used_up and not is_last:
            return b""
        whole: Value = {**(self._first or value), "choices": list(map(self._choice, choices))}
        if not choices and isinstance(value.get("usage"), dict):
            whole["usage"] = self._usage(value["usage"])
        if is_last:
            whole["arriero"] = self._mark()
        return b"data: " + compact(whole) + self._end

    def _choice(self, choice: Value) -> Value:
        delta = choice.get("delta")
        said = dict(delta) if isinstance(delta, dict) else {}
        if self._first is not None and not self._repeats_role:
            said.pop("role", None)
        reason = choice.get("finish_reason")
        if self._is_used_up:
            said, reason = {}, "length"
        self._count += bool(said.get("content") or choice.get("text"))
        if self._is_foreign:
            return {"text": said.get("content", ""), "index": choice.get("index", 0), "finish_reason": reason}
        if "delta" not in choice:
            return {**choice, "finish_reason": reason}
        return {**choice, "delta": said, "finish_reason": reason}

    def _usage(self, usage: Value) -> Value:
        prompt = max(0, _number(usage, "prompt_tokens") - self._carried)
        said = self._carried + (0 if self._is_used_up else _number(usage, "completion_tokens"))
        return {**usage, "prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}


def _data(record: bytes) -> bytes:
    """What the event carries: its last line."""
    return record.strip().rpartition(b"\n")[2].removeprefix(b"data:").strip()


def _object(text: bytes) -> Value | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(value: Value, key: str) -> int:
    found = value.get(key)
    return found if isinstance(found, int) else 0
