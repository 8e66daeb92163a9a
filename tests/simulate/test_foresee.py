"""What a spec would do: more targets help first tokens and cost more, sites fill by price, and the bill adds up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arriero.catalog.prices import BUILT_IN
from arriero.cli import foreseeing
from arriero.cost.estimate import estimate
from arriero.errors import ArrieroError, Refused
from arriero.simulate.foresee import Foreseen, Traffic, bearable, foresee, traffic
from arriero.simulate.scenario import load as scenario
from arriero.spec.load import load
from arriero.spec.model import Spec

SPEC = """
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
size: {cpu: 16 vCPU, memory: 32GiB}
scale: {SCALE}
sites:
  aws-east:   {cloud: aws, region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
  aws-west:   {cloud: aws, region: us-west-2, role: standby}
"""


def spec(folder: Path, scale: str = "{min: 1, max: 6}", more: str = "") -> Spec:
    path = folder / "arriero.yaml"
    path.write_text(SPEC.replace("{SCALE}", scale) + more)
    return load(path, None, {}).spec


def asked(found: Spec, rate: float = 0.8, days: float = 0.25) -> Traffic:
    return traffic(scenario("conversation", "", days), rate, found, False)


def test_more_targets_bring_sooner_first_tokens_for_more_money(tmp_path: Path) -> None:
    few, many = spec(tmp_path, "{min: 1, max: 2}"), spec(tmp_path, "{min: 6, max: 6}")
    one, other = (foresee(each, BUILT_IN, asked(few)) for each in (few, many))
    assert one.requests == pytest.approx(other.requests, rel=0.03)
    assert other.requests > 10_000
    assert other.p99 < one.p99
    assert other.refused == 0
    assert other.targets == pytest.approx(12, rel=0.01)
    assert one.targets <= 4.1
    assert other.monthly.amount > 2 * one.monthly.amount


def test_the_bill_of_a_fixed_fleet_is_the_estimate(tmp_path: Path) -> None:
    found = spec(tmp_path, "{min: 2, max: 2}")
    said = foresee(found, BUILT_IN, asked(found))
    wanted = sum(estimate(found.site(name), found.site(name).min).monthly.amount for name in found.sites)
    assert float(said.monthly.amount) == pytest.approx(float(wanted), rel=0.01)
    incomplete = {name for name in found.sites if not estimate(found.site(name), 2).is_complete}
    assert set(said.unpriced) == incomplete


def test_the_default_rate_is_what_the_sites_bear(tmp_path: Path) -> None:
    found = spec(tmp_path)
    scene = scenario("conversation", "", 1.0)
    twice = spec(tmp_path, "{min: 1, max: 12}")
    assert bearable(twice, scene) == pytest.approx(2 * bearable(found, scene))
    said = traffic(scene, 0.0, found, False)
    assert said.rate == bearable(found, scene)
    assert "12 targets" in said.why
    assert foresee(found, BUILT_IN, replace(said, seconds=6 * 3600.0)).refused == 0


def test_a_trace_of_the_users_own_is_played_as_recorded(tmp_path: Path) -> None:
    lines = [f"2026-01-05 10:{n // 60:02}:{n % 60:02}.0000000,{200 + n % 7},20" for n in range(0, 1800, 2)]
    (tmp_path / "own.csv").write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *lines]))
    found = spec(tmp_path)
    scene = scenario("conversation", str(tmp_path / "own.csv"))
    said = traffic(scene, 0.0, found, True)
    assert said.seconds == pytest.approx(1800, abs=3)
    assert said.rate == pytest.approx(0.5)
    assert foresee(found, BUILT_IN, said).requests == pytest.approx(900, abs=40)


def test_without_an_active_site_there_is_nothing_to_simulate(tmp_path: Path) -> None:
    found = spec(tmp_path)
    alone = found.model_copy(update={"sites": {"aws-west": found.sites["aws-west"]}})
    with pytest.raises(ArrieroError, match="no active site"):
        foresee(alone, BUILT_IN, asked(found))


def test_the_table_says_what_changes_and_what_was_not_measured(tmp_path: Path) -> None:
    found = spec(tmp_path)
    wish = asked(found)
    now = Foreseen(100, 0, 1.0, 2.0, 4.0, 3.0, 4, estimate(found.site("aws-east"), 2).monthly, ())
    then = replace(now, p99=3.0, refused=1, unpriced=("aws-east",))
    said = "\n".join(foreseeing.lines(foreseeing.Comparison(wish, 7, now, then)))
    assert "release 7" in said
    assert "-25%" in said
    assert "nothing here was measured" in said
    assert "price of aws-east is unknown" in said
    alone = "\n".join(foreseeing.lines(foreseeing.Comparison(wish, 0, None, then)))
    assert "nothing to compare with" in alone
    assert "change" not in alone


@pytest.mark.parametrize("wish", [foreseeing.Wish(days=400), foreseeing.Wish(rate=-1)])
def test_a_wrong_wish_is_refused(wish: foreseeing.Wish) -> None:
    with pytest.raises(Refused):
        wish.check()
