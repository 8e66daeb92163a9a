"""Which release a change makes, and how many targets a site keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arriero.errors import Problem
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.plan.place import Recorded
from arriero.plan.wanted import azure
from arriero.spec.model import Spec


def spec_of(scale: dict[str, int] | None = None) -> Spec:
    return Spec.model_validate(
        {
            "name": "llm",
            "image": "registry.example.com/acme/llm:1",
            "models": [{"name": "llama2:latest"}],
            "sites": {"a": {"cloud": "aws", "region": "us-east-1"}, "b": {"cloud": "aws", "region": "us-west-2"}},
            "scale": scale or {},
        }
    )


def released(release: int, digest: str, count: int = 2) -> SiteFacts:
    tags = {"arriero-release": str(release), "arriero-definition": digest}
    return SiteFacts("a", "aws", "us-east-1", resources=(Resource("aws.service", "llm-a", tags=tags),), count=count)


@pytest.mark.parametrize(
    ("known", "wished", "number"),
    [
        ({}, {"a": "x"}, 1),
        ({"a": Recorded(1, "x")}, {"a": "x"}, 1),
        ({"a": Recorded(1, "x")}, {"a": "y"}, 2),
        ({"a": Recorded(2, "y"), "b": Recorded(1, "x")}, {"a": "y", "b": "y"}, 2),
        ({"a": Recorded(2, "y"), "b": Recorded(1, "x")}, {"a": "z", "b": "z"}, 3),
        ({"a": Recorded(2, "y"), "b": None}, {"a": "y", "b": "y"}, 2),
        ({"a": Recorded(4, "y"), "gone": Recorded(7, "q")}, {"a": "z"}, 7),
    ],
    ids=[
        "the first release is one",
        "nothing changed: no new number",
        "the newest site changed: a new number",
        "a site that lags behind joins the newest release",
        "a lagging and a newest site both changed: a new number",
        "a new site joins the newest release",
        "numbers of other sites are never used again",
    ],
)
def test_release_numbers(known: dict[str, Recorded | None], wished: dict[str, str], number: int) -> None:
    assert place.next_release(wished, known) == number


@pytest.mark.parametrize(("live", "kept"), [(0, 2), (1, 2), (2, 2), (3, 3), (4, 4), (9, 4)])
def test_a_live_count_is_kept_within_min_and_max(live: int, kept: int) -> None:
    site = spec_of({"min": 2, "max": 4}).site("a")
    assert place.count(site, released(1, "x", live)) == kept


def test_a_site_without_a_release_starts_at_min() -> None:
    site = spec_of({"min": 3, "max": 8}).site("a")
    assert place.count(site, SiteFacts("a", "aws", "us-east-1", count=0)) == 3


def test_a_site_that_cannot_be_read_is_planned_for_nothing_and_hides_no_other() -> None:
    unread = SiteFacts("a", "aws", "us-east-1", problem=Problem("the region is down", "wait"))
    plan = place.plan(spec_of(), Facts("llm", {"a": unread, "b": SiteFacts("b", "aws", "us-west-2")}))
    assert {site.site: bool(site.steps) for site in plan.sites} == {"a": False, "b": True}
    assert [problem.what for problem in plan.problems] == ["the region is down"]


def test_the_hash_follows_every_value_and_no_order() -> None:
    one = place.definition_hash({"image": "a", "environment": {"A": "1", "B": "2"}})
    assert one == place.definition_hash({"environment": {"B": "2", "A": "1"}, "image": "a"})
    assert one != place.definition_hash({"image": "a", "environment": {"A": "1", "B": "3"}})


def test_a_site_that_left_the_spec_is_removed_last_with_its_reason_unless_others_were_chosen() -> None:
    facts = {name: SiteFacts(name, "aws", region) for name, region in (("a", "us-east-1"), ("b", "us-west-2"))}
    left = SiteFacts("old", "azure", "eastus", resources=(Resource("azure.container_group", "llm-old-r3-1"),))
    plan = place.plan(spec_of(), Facts("llm", {"old": left, **facts}))
    site = plan.sites[-1]
    assert (site.site, site.cloud, site.region, site.count, site.is_leaving) == ("old", "azure", "eastus", 0, True)
    assert [(c.action, c.name, c.reason) for c in site.changes] == [
        ("remove", "llm-old-r3-1", "its site is no longer in the spec")
    ]
    assert "old" not in {site.site for site in place.plan(spec_of(), Facts("llm", {"old": left, **facts}), {"a"}).sites}


def test_a_site_that_left_the_spec_and_holds_nothing_is_no_change() -> None:
    facts = {name: SiteFacts(name, "aws", "us-east-1") for name in ("a", "b", "old")}
    assert [site.site for site in place.plan(spec_of(), Facts("llm", facts)).sites] == ["a", "b"]


def test_a_site_that_left_the_spec_and_can_not_be_read_is_a_problem() -> None:
    facts = {name: SiteFacts(name, "aws", "us-east-1") for name in ("a", "b")}
    unread = SiteFacts("old", "azure", "eastus", problem=Problem("the region is down", "wait"))
    plan = place.plan(spec_of(), Facts("llm", {**facts, "old": unread}))
    assert [problem.what for problem in plan.problems] == ["the region is down"]


def resting(found: SiteFacts) -> SiteFacts:
    groups = [r for r in found.resources if r.kind == azure.GROUP_KIND]
    rest = [replace(group, details={"is_at_rest": True}) for group in groups]
    return replace(found, resources=(*(r for r in found.resources if r not in groups), *rest), count=0)


def at_zero(**more: object) -> Spec:
    sites = {"a": {"cloud": "azure", "region": "eastus", "scale": {"min": 0}}}
    return Spec.model_validate({"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": sites, **more})


def test_where_targets_are_made_from_one_that_ran_a_release_at_zero_runs_one() -> None:
    nothing = SiteFacts("a", "azure", "eastus", account="0")
    first = place.plan(at_zero(), Facts("llm", {"a": nothing})).sites[0]
    assert (first.count, first.release) == (1, 1)
    asleep = Facts("llm", {"a": resting(replace(nothing, resources=first.wanted))})
    same = place.plan(at_zero(), asleep).sites[0]
    assert (same.count, same.steps) == (0, ())
    other = place.plan(at_zero(environment={"A": "b"}), asleep).sites[0]
    assert (other.count, other.release) == (1, 2)
    assert [(change.action, change.name) for change in other.changes] == [
        ("create", "llm-a-r2-1"),
        ("remove", "llm-a-r1-1"),
    ]


def local(**site: object) -> Spec:
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": {"a": {"cloud": "local", **site}}}
    return Spec.model_validate(whole)


@pytest.mark.parametrize(
    ("site", "minimum", "started"),
    [
        ({"adopt": True}, 1, 0),
        ({"adopt": ("127.0.0.1:1", "127.0.0.1:2")}, 2, 0),
        ({"adopt": True, "hosts": ("127.0.0.1",)}, 2, 1),
        ({"adopt": ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"), "hosts": ("127.0.0.1",)}, 2, 0),
    ],
    ids=["only adopted: nothing is started", "two of them", "one adopted of the two wanted", "more than are wanted"],
)
def test_adopted_servers_count_as_targets_and_the_rest_is_started(
    site: dict[str, object], minimum: int, started: int
) -> None:
    spec = local(**site)
    planned = place.plan(spec, Facts("llm", {"a": SiteFacts("a", "local", "")})).sites[0]
    assert (spec.site("a").min, len(planned.wanted)) == (minimum, started)
