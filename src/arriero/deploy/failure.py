"""What Ansible says when a task fails, made fit to read."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 600
_HIDDEN = "the output has been hidden"
_PREFIXES = re.compile(
    r"^(\[ERROR\]:|ERROR!|Task failed:|Module failed:|Action failed:|fatal:|MODULE FAILURE:?)\s*", re.IGNORECASE
)
_EMPTY_WORDS = re.compile(
    r"^(non-zero return code|See stdout/stderr for the exact error\.?|No start of json char found|"
    r"Module result deserialization failed.*|One or more items failed\.?|<<< caused by >>>|Origin: .*)$",
    re.IGNORECASE,
)
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):")
_ERROR_LINE = re.compile(r"^([\w.]+(?:Error|Exception|Exit|Interrupt|Problem|Refused)): (.+)")


def explain(messages: Iterable[str]) -> tuple[str, ...]:
    """One sentence or two a message, each said once: no traceback, no boilerplate, at most 600 characters."""
    said = [_explain(message) for message in messages]
    return tuple(dict.fromkeys(text for text in said if text)) or ("the task failed without a message",)


def _explain(message: str) -> str:
    if _HIDDEN in message:
        return "the reason is hidden, because the task handles a secret"
    lines = [line for line in map(_bare, _without_tracebacks(message.splitlines())) if line]
    text = " ".join(dict.fromkeys(lines))
    return text if len(text) <= _LONGEST else text[:_LONGEST].rsplit(" ", 1)[0] + " …"


def _bare(line: str) -> str:
    former, line = "", line.strip()
    while former != line:
        former, line = line, _PREFIXES.sub("", line)
    return "" if _EMPTY_WORDS.match(line) else line


def _without_tracebacks(lines: list[str]) -> list[str]:
    """Each traceback becomes the sentence of its exception: its first line that stands at the margin."""
    kept: list[str] = []
    inside = False
    for line in lines:
        if _TRACEBACK.match(line.strip()):
            inside = True
        elif not inside:
            kept.append(line)
        elif line.strip() and not line.startswith((" ", "\t")):
            inside = False
            match = _ERROR_LINE.match(line)
            kept.append(match[2] if match else line)
    return kept
