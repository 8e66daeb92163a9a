"""What somebody may have meant by a word that isn't known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

LISTED = 32


def suggest(word: str, known: Iterable[str]) -> str:
    """A remedy: the nearest known word, or else all of them if they can be read at a glance; may be empty."""
    words = list(known)
    word = word[:60].lower()
    near = get_close_matches(word, words, 3, 0.6)
    best = sorted(other for other in near if _likeness(word, other) == _likeness(word, near[0]))
    if best:
        return f"did you mean {' or '.join(best)}?"
    return f"choose from {', '.join(words)}" if 0 < len(words) <= LISTED else ""


def _likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, other, word).ratio()
