"""Whether a model's prompt template leaves a last assistant turn open, so that a cut answer can be carried on. Pure.

A template without `.Messages` does: Ollama renders it up to `.Response` and stops there. One with `.Messages` may close
the turn and begin anew, and one that the server renders by itself can't be read at all: those are tried, once a
digest, with three short answers at temperature 0 (`questions`, `does_go_on`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_TOKENS = 4
_ASKED = "Count from one to twenty in words."


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of a model. `goes_on` is None until it was tried; `why_not` says why it does not.

    `num_predict` and `num_ctx` are the model's own parameters, None where it has none; `has_messages` says that it
    brings a conversation of its own.
    """

    goes_on: bool | None
    why_not: str = ""
    num_predict: int | None = None
    num_ctx: int | None = None
    has_messages: bool = False


def read_show(show: Mapping[str, Any]) -> Reading:
    """What `/api/show` tells."""
    parameters, modelfile = str(show.get("parameters") or ""), str(show.get("modelfile") or "")
    known = Reading(
        None,
        num_predict=_number("num_predict", parameters),
        num_ctx=_number("num_ctx", parameters),
        has_messages=bool(show.get("messages")),
    )
    capabilities = show.get("capabilities")
    if isinstance(capabilities, list):
        if "completion" not in capabilities:
            return replace(known, goes_on=False, why_not="its model makes no text")
        if "thinking" in capabilities:
            return replace(known, goes_on=False, why_not="its model thinks before it answers")
    template = show.get("template")
    if not isinstance(template, str) or not template:
        return replace(known, goes_on=False, why_not="its model's template can't be read")
    if re.search(r"^RENDERER\s", modelfile, re.MULTILINE) or re.search(r"\.Messages\b", template):
        return known
    return replace(known, goes_on=True)


def questions(model: str, so_far: str, options: Mapping[str, Any], keep_alive: Any) -> tuple[dict[str, Any], ...]:
    """Bodies for `/api/chat`: the whole answer, its first half, and (once `so_far` is known) what follows that half.

    `options` and `keep_alive` are those in force, so that trying neither loads the model anew nor changes its stay.
    """
    asked = [{"role": "user", "content": _ASKED}]
    told = [*asked, {"role": "assistant", "content": so_far}]
    return tuple(
        {"model": model, "messages": messages, "stream": False, "think": False, "keep_alive": keep_alive,
         "options": {**options, "temperature": 0, "seed": 1, "num_predict": tokens}}
        for messages, tokens in ((asked, 2 * _TOKENS), (asked, _TOKENS), (told, _TOKENS))
    )  # fmt: skip


def does_go_on(whole: Mapping[str, Any], half: Mapping[str, Any], rest: Mapping[str, Any]) -> bool:
    """The three answers: the halves have to make the whole, and the prompt may grow by the half alone.

    The second check finds a template that closes the turn where the model happens to say the same again.
    """
    grown = _count(rest, "prompt_eval_count") - _count(half, "prompt_eval_count")
    is_long = _count(half, "eval_count") == _TOKENS and _count(whole, "eval_count") == 2 * _TOKENS
    return is_long and said(half) + said(rest) == said(whole) and 0 < grown <= _TOKENS


def said(answer: Mapping[str, Any]) -> str:
    message = answer.get("message")
    return str(message.get("content", "")) if isinstance(message, dict) else ""


def _count(answer: Mapping[str, Any], key: str) -> int:
    value = answer.get(key)
    return value if isinstance(value, int) else 0


def _number(name: str, parameters: str) -> int | None:
    found = re.search(rf"^{name}\s+(-?\d+)\s*$", parameters, re.MULTILINE)
    return int(found[1]) if found else None
