"""How a conversation begins: its system text and first message; later turns begin the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

CHARACTERS = 2048


def mark_of(body: Mapping[str, Any]) -> int:
    """A number for the beginning of the conversation in a request's body, in any dialect; 0 when it has none."""
    opening = _text(body["system"]) if "system" in body else ""
    if "messages" in body:
        opening += _first_turns(body["messages"])
    if "prompt" in body:
        opening += _text(body["prompt"])
    opening = opening or _text(body.get("instructions")) + _first_turns(body.get("input"))
    return (crc32(opening.encode("utf-8", "replace")) or 1) if opening else 0


def _first_turns(turns: Any) -> str:
    """Up to the first that is not the system's."""
    if not isinstance(turns, list):
        return _text(turns)
    opening = ""
    for turn in turns[:4]:
        if not isinstance(turn, dict):
            return opening + _text(turn)
        opening += _text(turn.get("content"))
        if turn.get("role") not in ("system", "developer"):
            break
    return opening


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value[:CHARACTERS]
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value[:4] if isinstance(part, dict))
    return ""
