"""The spec's section `ollama`: what each Ollama server is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.units import Duration

KeepAlive = Annotated[
    Duration | Literal["forever"],
    PlainValidator(values.keep_alive),
    PlainSerializer(str),
    WithJsonSchema({"anyOf": [{"const": "forever"}, {"type": "string", "pattern": Duration.pattern}]}),
]


class Ollama(Section):
    """Settings of each Ollama server; they become its OLLAMA_* environment."""

    num_parallel: Annotated[int, Field(strict=True, ge=1, le=1024)] = Field(
        default=4, description="Requests that one model answers at a time."
    )
    max_loaded_models: Annotated[int, Field(strict=True, ge=1, le=64)] = Field(
        default=1, description="Models in memory at a time."
    )
    keep_alive: KeepAlive = Field(
        default="forever", description="How long an idle model stays in memory: `forever`, or like `10m`."
    )
    max_queue: Annotated[int, Field(strict=True, ge=1, le=100_000)] = Field(
        default=512, description="Requests that may wait before Ollama answers 503."
    )
    context_length: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = Field(
        default=None, description="Tokens of context; Ollama's own default if left out."
    )

    @property
    def variables(self) -> dict[str, str]:
        """The same as a server's OLLAMA_* environment."""
        variables = {
            "OLLAMA_NUM_PARALLEL": str(self.num_parallel),
            "OLLAMA_MAX_LOADED_MODELS": str(self.max_loaded_models),
            "OLLAMA_MAX_QUEUE": str(self.max_queue),
            "OLLAMA_KEEP_ALIVE": "-1" if self.keep_alive == "forever" else f"{self.keep_alive:.0f}s",
        }
        if self.context_length:
            variables["OLLAMA_CONTEXT_LENGTH"] = str(self.context_length)
        return variables
