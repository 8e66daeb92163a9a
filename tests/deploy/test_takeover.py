"""How a release takes over, wave by wave: what is played, in which order, and what a bad release leaves behind.

No gateway runs here, so the golden prompts alone judge.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from arriero.clock import Clock, ManualClock
from arriero.deploy import switch
from arriero.deploy.engine import Run
from arriero.deploy.outcome import Outcome, RunOutcome
from arriero.deploy.project import Project
from arriero.deploy.switch import Heir
from arriero.deploy.takeover import Takeover
from arriero.errors import Problem
from arriero.events import ignore
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan, TargetFacts
from arriero.spec.model import Spec

SITES = {"one": {"cloud": "azure", "region": "eastus"}, "two": {"cloud": "azure", "region": "westeurope"}}


def spec(canary: bool) -> Spec:
    deploy: dict[str, Any] = {"strategy": {"canary": ["5%", "100%"]}} if canary else {}
    whole = {"name": "llm", "image": "acme/llm:2", "models": ["llama2"], "sites": SITES, "deploy": deploy}
    return Spec.model_validate(whole)


def group(site: str, release: int, number: int) -> Resource:
    tags = {"arriero-release": str(release), "arriero-definition": f"d{release}", "arriero-site": site}
    return Resource("azure.container_group", f"llm-{site}-r{release}-{number}", {}, tags=tags)


def standing(site: str, *releases: int) -> SiteFacts:
    resources = tuple(group(site, release, n) for release in releases for n in (1, 2))
    targets = tuple(
        TargetFacts(r.name, site, "ready", f"h:{n}", int(r.tags["arriero-release"])) for n, r in enumerate(resources)
    )
    return SiteFacts(site, "azure", "eastus", resources=resources, targets=targets, count=2)


@dataclass
class World:
    """Both sites run release 1; what is played there is remembered, and comes true."""

    folder: Path
    is_canary: bool
    wrong: str = ""
    failing: frozenset[str] = frozenset()
    played: list[str] = field(default_factory=list)
    releases: dict[str, list[int]] = field(default_factory=lambda: {"one": [1], "two": [1]})

    def facts(self, _: Spec | None = None, sites: Collection[str] = ("one", "two")) -> Facts:
        return Facts("llm", {site: standing(site, *self.releases[site]) for site in sites})

    def play(self, _: Facts, sites: Sequence[SitePlan]) -> RunOutcome:
        for site in sites:
            for change in site.changes:
                if change.kind == "azure.container_group":
                    self.played.append(f"{change.action} {change.name}")
            if site.site in self.failing:
                continue
            self.releases[site.site] = [2] if site.steps[-1].name == "retire" else [1, 2]
            if any(c.action == "remove" and "-r2-" in c.name for c in site.changes):
                self.releases[site.site] = [1]
        names = {site.site for site in sites}
        failed = {name: Problem("no room", key=f"sites.{name}") for name in names & self.failing}
        return RunOutcome(ok=frozenset(names - self.failing), failed=failed)

    def golden(self, found: Mapping[str, SiteFacts]) -> tuple[Problem, ...]:
        assert {t.release for facts in found.values() for t in facts.targets} == {2}
        return (Problem(self.wrong),) if self.wrong else ()

    def take_over(self) -> Outcome:
        wanted, facts = spec(self.is_canary), self.facts()
        plans = [replace(site, release=2) for site in place.plan(wanted, facts).sites]
        run = Run(Project(self.folder / "arriero.yaml"), {}, ignore, ManualClock(), golden=self.golden)
        return Takeover(run, wanted, facts, self.play, self.facts).all(plans)


def names(verb: str, site: str, release: int) -> list[str]:
    return [f"{verb} llm-{site}-r{release}-{n}" for n in (1, 2)]


def test_rolling_sites_go_side_by_side_and_nothing_is_asked(tmp_path: Path) -> None:
    world = World(tmp_path, is_canary=False, wrong="never asked")
    outcome = world.take_over()
    assert (outcome.done, outcome.problems) == ({"one", "two"}, ())
    made = [*names("create", "one", 2), *names("create", "two", 2)]
    assert world.played == [*made, *names("remove", "one", 1), *names("remove", "two", 1)]


def test_a_good_canary_goes_site_by_site(tmp_path: Path) -> None:
    world = World(tmp_path, is_canary=True)
    outcome = world.take_over()
    assert (outcome.done, outcome.problems, outcome.is_judged_bad) == ({"one", "two"}, (), False)
    one = [*names("create", "one", 2), *names("remove", "one", 1)]
    assert world.played == [*one, *names("create", "two", 2), *names("remove", "two", 1)]


def test_a_bad_canary_leaves_what_it_found_and_stops_the_rest(tmp_path: Path) -> None:
    world = World(tmp_path, is_canary=True, wrong="llm-one-r2-1: Say hello: the answer is empty")
    outcome = world.take_over()
    assert (outcome.done, outcome.is_judged_bad) == (frozenset(), True)
    assert world.played == [*names("create", "one", 2), *names("remove", "one", 2)]
    assert world.releases == {"one": [1], "two": [1]}
    assert [problem.key for problem in outcome.problems] == ["sites.one", "sites.two"]
    assert "the answer is empty" in outcome.problems[0].what
    assert outcome.problems[1].what == "not begun, because one failed; it keeps what it had"


def test_a_canary_that_does_not_come_up_is_taken_away_without_a_verdict(tmp_path: Path) -> None:
    world = World(tmp_path, is_canary=True, failing=frozenset({"one"}))
    world.releases["one"] = [1]
    outcome = world.take_over()
    assert outcome.is_judged_bad is False
    assert str(outcome.problems[0]) == "sites.one: no room"
    assert "create llm-two-r2-1" not in world.played


def test_a_trial_that_its_deployer_left_is_gone_on_with(tmp_path: Path) -> None:
    world = World(tmp_path, is_canary=True, releases={"one": [1, 2], "two": [1]})
    asked: list[Collection[str]] = []
    world.golden = lambda found: asked.append(tuple(found)) or ()  # type: ignore[method-assign,assignment,func-returns-value]
    assert world.take_over().problems == ()
    assert asked == [("one",), ("two",)]


def test_a_site_whose_new_targets_get_no_requests_keeps_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(_: Project, heirs: Sequence[Heir], leaving: Collection[str], __: Clock) -> tuple[Heir, ...]:
        assert sorted(leaving) == sorted(f"llm-{site}-r1-{n}" for site in SITES for n in (1, 2))
        return tuple(heir for heir in heirs if heir.site == "one")

    monkeypatch.setattr(switch, "unknown_heirs", unknown)
    world = World(tmp_path, is_canary=False)
    outcome = world.take_over()
    assert outcome.done == {"two"}
    assert [problem.key for problem in outcome.problems] == ["sites.one"]
    assert "the gateway sends no requests to release 2 there" in outcome.problems[0].what
    assert world.releases == {"one": [1, 2], "two": [2]}
