"""The rules between the section `policy` and the rest of the spec."""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.model import Spec
from arriero.spec.suggest import suggest


def policy_problems(spec: Spec) -> Iterator[Problem]:
    policy = spec.policy
    for index, file in enumerate(policy.rules):
        if file in policy.rules[:index]:
            yield Problem(f"{file} is here twice", "keep one of them", f"policy.rules[{index}]")
    seen: set[tuple[str, str]] = set()
    for index, waiver in enumerate(policy.waive):
        key = f"policy.waive[{index}]"
        if (waiver.rule, waiver.at) in seen:
            yield Problem(f"{waiver.rule} is waived there already", "keep one of them", key)
        seen.add((waiver.rule, waiver.at))
        yield from _place_problems(spec, waiver.at, f"{key}.at")
    served = {model.name for model in spec.models}
    for name in policy.licences:
        if name not in served:
            yield Problem(f"{name} is not served", suggest(name, served) or "remove it", f"policy.licences.{name}")


def _place_problems(spec: Spec, at: str, key: str) -> Iterator[Problem]:
    section, _, rest = at.partition(".")
    if not at:
        return
    if section.partition("[")[0] not in type(spec).model_fields:
        remedy = suggest(section, tuple(type(spec).model_fields)) or "write a key of this file, like sites.lab"
        yield Problem(f"the spec has no section '{section[:40]}'", remedy, key)
    elif section == "sites" and rest and (site := rest.partition(".")[0]) not in spec.sites:
        yield Problem(f"there is no site {site[:40]}", f"choose from {', '.join(spec.sites)}", key)
