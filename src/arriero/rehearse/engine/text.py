"""The text a simulated model says: words that follow from the text so far and nothing else.

The next token is a pure function of everything before it (a running CRC of the rendered prompt and what was said), at
temperature 0 that is; above, also of the seed. So a continued conversation goes on with the very tokens of the uncut
run, as measured on real servers.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator

_PIECES = re.compile(r"<\|\w+\|>| ?[A-Za-z0-9]+|\s|[^\sA-Za-z0-9]")
_WORDS: tuple[str, ...] = tuple(
    re.findall(
        r"\w+",
        """the road a mule of to and in it is with load over hill water each day from two high long pass rope bell
        stone river town slow sure night camp morning fire bread salt wool carry walk rest climb turn wait know find
        keep leave north south wind rain dust snow bridge valley market driver train path step hoof pack strap knot
        map star moon old new good heavy light warm cold early late far near first last same other many few all no""",
    )
)
_SENTENCE_ENDS = 9  # one token in so many ends its sentence
_TEXT_ENDS = 5  # one sentence in so many is the last

VOCABULARY = 32_000


def pieces(text: str) -> list[str]:
    """The text cut into tokens; joined they are the text again."""
    return _PIECES.findall(text)


def token_id(piece: str) -> int:
    return 3 + zlib.crc32(piece.encode()) % (VOCABULARY - 3)


def render(messages: Iterable[tuple[str, str]]) -> str:
    """The prompt of (role, content) pairs; a last assistant turn stays open, so that it is carried on."""
    turns = list(messages)
    text = ""
    for place, (role, content) in enumerate(turns):
        is_last = place == len(turns) - 1
        if role == "assistant":
            text += content if is_last else content + "\n"
        else:
            text += f"<|{role}|>{content}\n" + ("<|assistant|>" if _needs_answer(turns, place) else "")
    return text


def _needs_answer(turns: list[tuple[str, str]], place: int) -> bool:
    following = turns[place + 1][0] if place + 1 < len(turns) else "assistant"
    return turns[place][0] != "system" and following == "assistant"


def speak(prompt: str, seed: int) -> Iterator[str]:
    """Tokens without end but for the model's own: it stops after a whole sentence. `seed` is 0 at temperature 0."""
    said = zlib.crc32(prompt.encode())
    tail = prompt[-2:]
    while True:
        chance = zlib.crc32(b"%d %d" % (said, seed))
        if tail.endswith(".") and chance % _TEXT_ENDS == 0:
            return
        token = _next(tail, chance)
        yield token
        said = zlib.crc32(token.encode(), said)
        tail = (tail + token)[-2:]


def _next(tail: str, chance: int) -> str:
    word = _WORDS[(chance // 64) % len(_WORDS)]
    if tail.endswith("."):
        return " " + word.capitalize()
    if not tail or tail[-1] in ">\n":
        return word.capitalize()
    is_end = chance % _SENTENCE_ENDS == 0 and tail[-1].isalpha()
    return "." if is_end else " " + word


def speak_json(prompt: str, seed: int, properties: Iterable[str]) -> Iterator[str]:
    """One JSON object with a sentence for each property, token by token."""
    yield "{"
    for place, name in enumerate(properties):
        yield '"' if place == 0 else ', "'
        yield from (name, '": "')
        for token in speak(f"{prompt}{name}", seed):
            yield token
            if token == ".":
                break
        yield '"'
    yield "}"


def probabilities(token: str, others: int) -> list[tuple[str, float]]:
    """The token and so many alternatives with their log probabilities, the token's own first."""
    chance = zlib.crc32(token.encode())
    found = [(token, -(chance % 1000) / 1000)]
    for step in range(1, others):
        word = " " + _WORDS[(chance + step) % len(_WORDS)]
        found.append((word, -1.0 - step - (chance % 997) / 1000))
    return found


def embed(text: str, length: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    raw = [((zlib.crc32(b"%d %s" % (place, text.encode())) % 20001) - 10000) / 10000 for place in range(length)]
    norm = sum(value * value for value in raw) ** 0.5 or 1.0
    return [round(value / norm, 9) for value in raw]
