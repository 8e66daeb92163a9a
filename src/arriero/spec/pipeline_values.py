"""What the single values of the section `pipeline` may look like. Each raises ValueError with `what; remedy`.

They are written into programs of other languages, so each holds nothing that could end a quoted text there.
"""

from __future__ import annotations

import re

from arriero.spec.values import kind, shown

REPOSITORY_PATTERN = r"^(https://|ssh://git@|git@)[A-Za-z0-9.-]+(:\d{1,5})?[/:][A-Za-z0-9._~/-]+$"
WORD_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/@-]*$"
CHANNEL_PATTERN = r"^#[a-z0-9][a-z0-9._-]{0,79}$"


def repository(value: object) -> str:
    text = _text(value, "https://github.com/acme/llm.git")
    if "://" in text and "@" in text.partition("://")[2] and not text.startswith("ssh://git@"):
        raise ValueError("holds a login, and this file is no place for one; leave it out")
    return _fitting(text, REPOSITORY_PATTERN, 300, "a git repository", "https://github.com/acme/llm.git")


def word(value: object) -> str:
    return _fitting(_text(value, "main"), WORD_PATTERN, 100, "one plain word", "main")


def channel(value: object) -> str:
    return _fitting(_text(value, "#releases"), CHANNEL_PATTERN, 81, "a Slack channel", "'#releases'")


def _fitting(text: str, pattern: str, longest: int, what: str, example: str) -> str:
    if len(text) > longest or not re.fullmatch(pattern.strip("^$"), text):
        raise ValueError(f"{shown(text)} is not {what}; write it like {example}")
    return text


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {kind(value)}; write it like {example}")
    return value
