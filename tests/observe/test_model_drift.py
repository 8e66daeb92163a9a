"""Models that were changed by hand are told in the plan, and change nothing in it."""

from __future__ import annotations

from arriero.cli import show
from arriero.cost.estimate import estimate
from arriero.observe.model_drift import with_model_drift
from arriero.plan.model import Facts, SiteFacts, TargetFacts
from arriero.plan.place import plan
from arriero.spec.model import Spec

PORTS = (11435, 11436)
MODELS: dict[str, tuple[str, ...] | None] = {
    "127.0.0.1:11435": ("llama2:latest", "Qwen:7b", "phi:latest"),
    "127.0.0.1:11436": ("phi:latest",),
}


def spec(is_writable: bool) -> Spec:
    site = {"cloud": "local", "adopt": tuple(MODELS), "writable_models": is_writable}
    return Spec.model_validate({"name": "llm", "image": "acme/llm", "models": ["llama2"], "sites": {"desk": site}})


def facts() -> Facts:
    targets = tuple(
        TargetFacts(f"t{port}", "desk", "ready", f"127.0.0.1:{port}", is_adopted=True, reason="it answers")
        for port in PORTS
    )
    return Facts("llm", {"desk": SiteFacts("desk", "local", "", targets=targets)})


def test_models_beside_the_spec_and_missing_ones_are_told() -> None:
    wanted = plan(spec(True), facts(), None)
    found = with_model_drift(wanted, spec(True), facts().sites, MODELS.get)
    (site,) = found.sites
    assert site.drift == (
        "phi:latest is at t11435, t11436 and not in the spec",
        "qwen:7b is at t11435 and not in the spec",
        "llama2:latest is in the spec and not at t11436",
    )
    assert found.is_empty
    lines = show.plan_lines(found, spec(True), {"desk": estimate(spec(True).site("desk"), 2)})
    assert "  drift: qwen:7b is at t11435 and not in the spec" in lines
    told = show.plan_json(found, spec(True), facts(), {})
    assert told["sites"][0]["drift"] == list(site.drift)  # type: ignore[index]


def test_a_silent_target_tells_nothing() -> None:
    wanted = plan(spec(True), facts(), None)
    assert with_model_drift(wanted, spec(True), facts().sites, lambda _: None).sites[0].drift == ()


def test_where_models_are_fixed_nobody_is_asked() -> None:
    def probe(address: str) -> tuple[str, ...] | None:
        raise AssertionError(f"{address} was asked")

    wanted = plan(spec(False), facts(), None)
    assert with_model_drift(wanted, spec(False), facts().sites, probe) == wanted
