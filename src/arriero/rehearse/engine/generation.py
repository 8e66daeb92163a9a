"""One answer being made: tokens at the pace of the profile, up to a stop text, a limit or the model's own end."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from arriero.rehearse.engine import text
from arriero.rehearse.engine.profile import Profile
from arriero.rehearse.engine.store import Model


@dataclass(frozen=True, slots=True)
class Asked:
    """What to say. `before` are the token ids of a former answer's `context`; `properties` make it JSON."""

    model: Model
    prompt: str
    options: Mapping[str, Any]
    before: tuple[int, ...] = ()
    properties: tuple[str, ...] | None = None

    @property
    def context_length(self) -> int:
        return int(self.options["num_ctx"])


@dataclass
class Answer:
    """Grows while it is made; durations in nanoseconds."""

    asked: Asked
    prompt_ids: list[int]
    arrived: float
    load_seconds: float = 0.0
    prompt_seconds: float = 0.0
    eval_seconds: float = 0.0
    tokens: list[str] = field(default_factory=list)
    done_reason: str = ""

    @property
    def prompt_count(self) -> int:
        return len(self.prompt_ids)

    def durations(self) -> dict[str, int]:
        """As the last record of a native answer has them; zero fields are left out, as Go does."""
        found = {
            "total_duration": round((time.perf_counter() - self.arrived) * 1e9),
            "load_duration": round(self.load_seconds * 1e9),
            "prompt_eval_count": self.prompt_count,
            "prompt_eval_duration": round(self.prompt_seconds * 1e6) * 1000,
            "eval_count": len(self.tokens),
            "eval_duration": round(self.eval_seconds * 1e6) * 1000,
        }
        return {name: value for name, value in found.items() if value}


def happens(share: float) -> bool:
    """By chance, in so many of all cases; without the module `random`, which takes long to load."""
    return share > 0 and int.from_bytes(os.urandom(4)) < share * 2**32


def _gauss() -> float:
    """One draw of the normal distribution, by Box and Muller."""
    one, other = (int.from_bytes(os.urandom(4)) / 2**32 for _ in range(2))
    return math.sqrt(-2.0 * math.log(1.0 - one)) * math.cos(2.0 * math.pi * other)


class Pace:
    """When the next token may leave: each stream has its own pace, all together that of the machine."""

    def __init__(self, profile: Profile) -> None:
        self._profile, self.empty_share = profile, profile.empty_share
        self._machine_free_at = 0.0

    async def first(self) -> None:
        await asyncio.sleep(self._profile.first_token_seconds * math.exp(self._profile.spread * _gauss()))

    async def next(self, due: float) -> float:
        """Waits until `due`, and for the machine; returns when the following token is due."""
        if self._profile.total_tokens_per_second:
            due = max(due, self._machine_free_at)
            self._machine_free_at = due + 1 / self._profile.total_tokens_per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        return due + 1 / self._profile.tokens_per_second


def tokenize(asked: Asked) -> list[int]:
    """The prompt's token ids, cut to the context as Ollama cuts: silently, keeping the first and the last part."""
    ids = [*asked.before, *map(text.token_id, text.pieces(asked.prompt))]
    limit = asked.context_length
    if len(ids) <= limit:
        return ids
    kept = limit // 2 + 3  # seen on a real server: 1027 of 2048
    return ids[:5] + ids[5 - kept :]


async def generate(answer: Answer, pace: Pace) -> AsyncIterator[str]:
    """The tokens of the answer, held back where they may become a stop text."""
    started = time.perf_counter()
    await pace.first()
    first_at = due = time.perf_counter()
    answer.prompt_seconds = first_at - started
    limit = _limit(answer.asked)
    stops = tuple(answer.asked.options.get("stop") or ())
    held = ""
    answer.done_reason = "length"
    source = iter(()) if happens(pace.empty_share) else _source(answer.asked)
    for token in itertools.islice(source, limit):
        due = await pace.next(due)
        answer.tokens.append(token)
        answer.eval_seconds = time.perf_counter() - first_at
        held += token
        cut = min((held.find(stop) for stop in stops if stop in held), default=-1)
        if cut >= 0:
            answer.done_reason = "stop"
            held = held[:cut]
            break
        if not _may_become(held, stops):
            yield held
            held = ""
    else:
        if limit is None or len(answer.tokens) < limit:
            answer.done_reason = "stop"
    if held:
        yield held


def _source(asked: Asked) -> Iterator[str]:
    temperature = float(asked.options.get("temperature", 0.8))
    seed = 0
    if temperature > 0:
        seed = int(asked.options.get("seed", 0)) or int.from_bytes(os.urandom(4))
    prompt = "".join(map(str, asked.before)) + asked.prompt
    if asked.properties is not None:
        return text.speak_json(prompt, seed, asked.properties)
    return text.speak(prompt, seed)


def _limit(asked: Asked) -> int | None:
    limit = int(asked.options.get("num_predict", -1))
    if limit < 0:
        return None if limit == -1 else asked.context_length
    return limit


def _may_become(held: str, stops: tuple[str, ...]) -> bool:
    return any(held.endswith(stop[:length]) for stop in stops for length in range(1, len(stop)))
