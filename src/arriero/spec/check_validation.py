"""The rules between the section `validation` and the models of the spec."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from arriero.errors import Problem
from arriero.spec.suggest import suggest
from arriero.spec.validation import Validation


def validation_problems(validation: Validation, models: Collection[str]) -> Iterator[Problem]:
    for index, prompt in enumerate(validation.prompts):
        key = f"validation.prompts[{index}]"
        for name in ("model", "embedded_by"):
            model = getattr(prompt, name)
            if model is not None and model not in models:
                what = f"{model} is not among the spec's models"
                yield Problem(what, suggest(model, tuple(models)), f"{key}.{name}")
        if prompt.like is None and prompt.model_fields_set & {"similarity", "embedded_by"}:
            yield Problem("says how alike, and not to what", "add the text: like: ...", key)
        if prompt.title in [other.title for other in validation.prompts[:index]]:
            yield Problem(f"'{prompt.title}' is here twice", "give one of them another name", f"{key}.name")
