"""What every dialect needs to answer: find the model, wait for its turn, make the answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from arriero.rehearse.engine import generation, text
from arriero.rehearse.engine.decode import Failure, check_options
from arriero.rehearse.engine.generation import Answer, Asked, Pace
from arriero.rehearse.engine.names import parse
from arriero.rehearse.engine.profile import Profile, Settings
from arriero.rehearse.engine.runners import Full, Runners
from arriero.rehearse.engine.store import Model, Store

_BUSY = "server busy, please try again.  maximum pending requests exceeded"
_TOO_LONG = (
    '{{"error":{{"code":400,"message":"request ({0} tokens) exceeds the available context size ({1} tokens), '
    'try increasing it","type":"exceed_context_size_error","n_prompt_tokens":{0},"n_ctx":{1}}}}}'
)


class Desk:
    """The server's parts; one for all connections."""

    def __init__(self, settings: Settings, profile: Profile, store: Store, runners: Runners) -> None:
        self.settings = settings
        self.profile = profile
        self.store = store
        self.runners = runners
        self._pace = Pace(profile)

    def find(self, name: str) -> Model:
        """The model of that name as written by the client; Failure where there is none."""
        if name and not parse(name).is_valid:
            raise Failure(400, "invalid model name")
        model = self.store.find(name) if name else None
        if model is None:
            raise Failure(404, f"model '{name}' not found")
        return model

    def options(self, model: Model, asked: Mapping[str, Any] | None) -> dict[str, Any]:
        """The options in force: the server's defaults, the model's, the request's."""
        check_options(asked or {})
        return {"num_ctx": self.settings.context_length, **model.parameters, **(asked or {})}

    async def load(self, model: Model, options: Mapping[str, Any], keep_alive: float) -> None:
        """Returns when the model is in memory."""
        with _busy_is_503():
            async with self.runners.turn(model, int(options["num_ctx"]), keep_alive):
                return

    @asynccontextmanager
    async def answering(self, asked: Asked, keep_alive: float, truncates: bool = True) -> AsyncIterator[Answer]:
        """An answer whose turn has come. The time waited counts as load_duration, as in Ollama."""
        answer = Answer(asked, generation.tokenize(asked), time.perf_counter())
        count = len(text.pieces(asked.prompt))
        if count > asked.context_length and not truncates:
            raise Failure(400, _TOO_LONG.format(count, asked.context_length))
        with _busy_is_503():
            async with self.runners.turn(asked.model, asked.context_length, keep_alive):
                answer.load_seconds = time.perf_counter() - answer.arrived
                if generation.happens(self.profile.error_share):
                    raise Failure(500, "the stage was told that some answers fail")
                yield answer

    def tokens(self, answer: Answer) -> AsyncIterator[str]:
        return generation.generate(answer, self._pace)


class _busy_is_503:  # noqa: N801 (read as a statement)
    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Full):
            raise Failure(503, _BUSY) from error
