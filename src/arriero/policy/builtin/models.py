"""The models: under which terms they may be used."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.catalog import catalog
from arriero.policy.rule import Hit, Severity, Subject, rule


@rule(
    "model-licence-unknown",
    "warning",
    reason="who serves a model answers for the terms that it came with",
    remedy="read its terms (`ollama show --license MODEL`) and write them under policy.licences",
)
def model_licence_unknown(subject: Subject) -> Iterator[Hit]:
    spec = subject.spec
    for index, model in enumerate(spec.models):
        if model.name not in spec.policy.licences and catalog.licence(model.name) is None:
            severity: Severity | None = "error" if spec.policy.production else None
            yield Hit(f"models[{index}]", f"the licence of {model.name} is not known", severity)


RULES = (model_licence_unknown,)
