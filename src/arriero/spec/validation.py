"""The spec's section `validation`: what the service must answer, and how fast, for a release to count as good.

What values alone can get wrong is refused here, the rest in `check_validation.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from arriero.spec import validation_values as of_validation
from arriero.spec import values
from arriero.spec.section import Section
from arriero.spec.units import Duration, Percent

Words = Annotated[str, BeforeValidator(of_validation.words), Field(json_schema_extra={"minLength": 1})]
Pattern = Annotated[str, BeforeValidator(of_validation.pattern), Field(json_schema_extra={"format": "regex"})]
ModelName = Annotated[str, BeforeValidator(values.model_name), values.schema(values.MODEL_PATTERN, max_length=200)]
AnswerSchema = Annotated[Mapping[str, Any], BeforeValidator(of_validation.answer_schema)]
Likeness = Annotated[Percent, of_validation.up_to_whole]
Wait = Annotated[Duration, values.above_zero]


class Prompt(Section):
    """A golden prompt: a question, and what its answer must be. Without an expectation it must not be empty."""

    prompt: Words = Field(description="What is asked.")
    name: Words | None = Field(default=None, description="What reports call it; the prompt itself, if left out.")
    model: ModelName | None = Field(default=None, description="Who is asked; every model of the spec, if left out.")
    matches: Pattern | None = Field(default=None, description="A regular expression that must be found in the answer.")
    answer_schema: AnswerSchema | None = Field(
        default=None, alias="schema", description="A JSON Schema; the answer is asked for in it, and held against it."
    )
    like: Words | None = Field(default=None, description="A text that the answer must mean the same as.")
    similarity: Likeness = Field(
        default=Percent(0.8), description="The least cosine similarity of the two texts' embeddings."
    )
    embedded_by: ModelName | None = Field(
        default=None, description="The model that makes the embeddings; the one that answers, if left out."
    )

    @property
    def title(self) -> str:
        return self.name or (self.prompt if len(self.prompt) <= 40 else self.prompt[:37] + "...")


class Tolerance(Section):
    """How much slower than the last stable release each site's model may be."""

    first_token: Percent = Field(default=Percent(0.5), description="How much later the first token may come.")
    tokens_per_second: Percent = Field(default=Percent(0.3), description="How much fewer tokens a second may come.")


class Validation(Section):
    """Golden prompts, their seed, and the tolerance for speed."""

    prompts: tuple[Prompt, ...] = Field(
        default=(), description="What is asked; one prompt for each model, if left out, whose answer must not be empty."
    )
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] = Field(
        default=42, description="The seed of every answer; temperature is 0."
    )
    max_tokens: Annotated[int, Field(strict=True, ge=1, le=4096)] = Field(
        default=64, description="The longest answer that is waited for, in tokens."
    )
    answer_within: Wait = Field(default=Duration(120), description="So long may one answer take, loading included.")
    tolerance: Tolerance = Field(default=Tolerance(), description="How much slower than the last stable release.")
