"""Whether an answer is what its golden prompt expects; pure.

The one place that knows `jsonschema`, which is imported only for a prompt that has a schema.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from arriero.errors import ArrieroError, Problem
from arriero.spec.model import Spec
from arriero.spec.validation import Prompt

HELLO = Prompt(prompt="Say hello in one short sentence.", name="says something")
_SHOWN = 60


def prompts_of(spec: Spec) -> tuple[tuple[str, Prompt], ...]:
    """Every (model, prompt) to be asked, a model's together, so that each is loaded once."""
    wanted = spec.validation.prompts or (HELLO,)
    return tuple(
        (model.name, prompt) for model in spec.models for prompt in wanted if prompt.model in (None, model.name)
    )


def check_tools(prompts: Iterable[Prompt]) -> None:
    """Raises ArrieroError where a prompt needs what is not installed: better now than after the first deployment."""
    if any(prompt.answer_schema is not None for prompt in prompts):
        _validator()


def judge(prompt: Prompt, text: str, similarity: float | None = None) -> tuple[bool, str]:
    """Whether `text` is as expected, and why; `similarity` is that to `prompt.like`, where there is such a text."""
    if not text.strip():
        return False, "the answer is empty"
    if prompt.matches is not None and not re.search(prompt.matches, text):
        return False, f"{shown(text)} does not match {prompt.matches}"
    if prompt.answer_schema is not None and (fault := _schema_fault(prompt, text)):
        return False, f"{shown(text)}: {fault}"
    if prompt.like is not None:
        likeness = similarity or 0.0
        said = f"{likeness:.0%} like the text expected"
        return likeness >= prompt.similarity, said if likeness >= prompt.similarity else f"{shown(text)}: {said}"
    return True, shown(text)


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of the angle between two vectors; 0 where their lengths differ or one is nothing."""
    if len(one) != len(other):
        return 0.0
    size = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / size if size else 0.0


def shown(text: str) -> str:
    """An answer on one short line."""
    line = " ".join(text.split())
    return f"'{line if len(line) <= _SHOWN else line[: _SHOWN - 3] + '...'}'"


def _schema_fault(prompt: Prompt, text: str) -> str:
    try:
        answer = json.loads(text)
    except ValueError as error:
        return f"is not JSON: {error}"
    fault = _validator()(prompt.answer_schema).iter_errors(answer)
    first = next(iter(sorted(fault, key=lambda error: list(map(str, error.path)))), None)
    return f"{first.json_path}: {first.message}" if first else ""


def _validator() -> Any:
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        what = "a prompt has a schema, and jsonschema is not installed"
        raise ArrieroError(Problem(what, "pip install 'arriero[pipeline]'", "validation.prompts")) from None
    return Draft202012Validator
