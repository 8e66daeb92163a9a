"""Where models may be changed by hand: which of them stand at targets and not in the spec, and the other way round.

It is told and never repaired: whoever pulled a model meant to.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from arriero.observe.status import Probe
from arriero.plan.model import Plan, SiteFacts, SitePlan, TargetFacts
from arriero.spec.model import Spec


def with_model_drift(plan: Plan, spec: Spec, found: Mapping[str, SiteFacts], probe: Probe) -> Plan:
    """The plan with `drift` at the sites that have `writable_models`; their targets are asked side by side."""
    return replace(plan, sites=tuple(_told(site, spec, found, probe) for site in plan.sites))


def _told(site: SitePlan, spec: Spec, found: Mapping[str, SiteFacts], probe: Probe) -> SitePlan:
    if site.is_leaving or site.problem or not spec.sites[site.site].writable_models:
        return site
    targets = [target for target in found[site.site].targets if target.address and target.state != "stopped"]
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(targets)))) as pool:
        answers = list(pool.map(probe, [target.address for target in targets]))
    wanted = {model.name.lower() for model in spec.models}
    held = {target: _names(answer) for target, answer in zip(targets, answers, strict=True) if answer is not None}
    return replace(site, drift=(*_beside(held, wanted), *_missing(held, wanted)))


def _beside(held: Mapping[TargetFacts, set[str]], wanted: set[str]) -> list[str]:
    others = sorted(set().union(*held.values()) - wanted) if held else []
    return [f"{model} is at {_where(held, model)} and not in the spec" for model in others]


def _missing(held: Mapping[TargetFacts, set[str]], wanted: set[str]) -> list[str]:
    lacking = {model: [target.id for target in held if model not in held[target]] for model in sorted(wanted)}
    return [f"{model} is in the spec and not at {', '.join(ids)}" for model, ids in lacking.items() if ids]


def _where(held: Mapping[TargetFacts, set[str]], model: str) -> str:
    return ", ".join(target.id for target in held if model in held[target])


def _names(models: tuple[str, ...]) -> set[str]:
    return {name.lower() for name in models}
