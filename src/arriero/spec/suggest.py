"""What somebody may have meant by a word that isn't known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LISTED = 20


def suggest(word: str, known: Iterable[str]) -> str:
    """A remedy: the nearest known word, or else all of them if they can be read at a glance; may be empty."""
    words = list(known)
    near = get_close_matches(word[:60].lower(), words, 1, 0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"choose from {', '.join(words)}" if 0 < len(words) <= LISTED else ""
