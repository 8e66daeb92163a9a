"""The last line of a plan: how many changes, and where."""

from __future__ import annotations

import pytest

from arriero.cli import show
from arriero.cost.estimate import estimate
from arriero.plan.model import Change, Plan, SitePlan, Step, StorePlan
from arriero.spec.model import Spec

SITES = {"a": {"cloud": "aws", "region": "us-east-1"}, "b": {"cloud": "aws", "region": "us-west-2"}}
SPEC = Spec.model_validate({"name": "llm", "image": "acme/llm", "models": ["phi"], "sites": SITES})


def change(site: str) -> Change:
    return Change(site, "create", "aws.cluster", "llm", "it is not there")


def site(name: str) -> SitePlan:
    return SitePlan(name, "aws", 1, 1, (), steps=(Step(name, "cluster", (change(name), change(name))),))


def store(name: str) -> StorePlan:
    return StorePlan("aws", name, "us-east-1", (change(name),))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan("llm", 1, ()), "Nothing to do: everything is as the spec says."),
        (Plan("llm", 1, (site("a"),)), "2 changes at 1 site. To make them: arriero up"),
        (
            Plan("llm", 1, (site("a"), site("b")), (store("l"),)),
            "5 changes at 2 sites and the ledger. To make them: arriero up",
        ),
        (Plan("llm", 1, (), (store("l"),)), "1 change at the ledger. To make them: arriero up"),
        (Plan("llm", 1, (), (), (store("r"),)), "1 change at the registry. To make them: arriero up"),
    ],
)
def test_a_plan_ends_with_what_it_changes_and_where(plan: Plan, words: str) -> None:
    assert show.plan_lines(plan, SPEC, {name: estimate(SPEC.site(name), 1) for name in SITES})[-1] == words
