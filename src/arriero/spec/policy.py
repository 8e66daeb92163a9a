"""The spec's section `policy`: what `arriero check` asks besides its own rules, and what it lets pass for a while.

Paths start at the folder of the spec. That a rule of a waiver exists is found out by `arriero check`, which knows all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from arriero.spec import policy_values, values
from arriero.spec.section import Section

RuleId = Annotated[str, BeforeValidator(policy_values.rule), values.schema(policy_values.RULE_PATTERN, 64)]
Day = Annotated[date, BeforeValidator(policy_values.last_day), WithJsonSchema({"type": "string", "format": "date"})]
Sentence = Annotated[str, BeforeValidator(policy_values.sentence), WithJsonSchema({"type": "string", "minLength": 1})]
File = Annotated[str, BeforeValidator(values.file_name), WithJsonSchema({"type": "string", "minLength": 1})]
ModelName = Annotated[str, BeforeValidator(values.model_name), values.schema(values.MODEL_PATTERN, max_length=200)]


class Waiver(Section):
    """A rule that is let pass, at one key or everywhere, for a reason and for a time."""

    rule: RuleId = Field(description="The rule's id, like open-range.")
    at: str = Field(default="", strict=True, description="Only at this key of the spec or below it, like sites.lab.")
    until: Day = Field(description="The last day on which it is let pass, like 2027-01-31.")
    reason: Sentence = Field(description="Why; it stands in every report.")


class Policy(Section):
    """What is asked besides the built-in rules, and what is let pass for a while."""

    production: bool = Field(
        default=False, strict=True, description="Whether users depend on it: some warnings are errors then."
    )
    rules: tuple[File, ...] = Field(default=(), description="Python files with rules of your own.")
    scan: File | None = Field(
        default=None, description="The image's last scan: what `trivy image --format json` wrote."
    )
    scan_days: Annotated[int, Field(strict=True, ge=1, le=3650)] = Field(
        default=30, description="A scan that is older counts as missing."
    )
    licences: Mapping[ModelName, Sentence] = Field(
        default={}, description="Licences of models that arriero does not know, by the model's name."
    )
    waive: tuple[Waiver, ...] = Field(default=(), description="Findings that are let pass for a while.")
