"""How a service's Front Door looks in a plan."""

from __future__ import annotations

from dataclasses import replace

from arriero.cli import door_lines
from arriero.errors import Problem
from arriero.plan.model import Change, StorePlan
from arriero.spec.model import Spec

ALB = {
    "hosts": ["llm.example.com"],
    "certificates": ["arn:aws:acm:us-east-1:123456789012:certificate/0a1b"],
    "scheme": "internet-facing",
    "allow_from": ["0.0.0.0/0"],
    "edges": {"keys": ["arn:aws:secretsmanager:us-east-1:123456789012:secret:llm/keys-AbCdEf"]},
}
SITES = {"east": {"cloud": "aws", "region": "us-east-1"}, "eu": {"cloud": "azure", "region": "westeurope"}}
SPEC = Spec.model_validate(
    {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "sites": SITES,
        "ingress": {"alb": ALB, "front_door": {}},
    }
)
CHANGE = Change("front-door", "create", "azure.front_door", "llm", "it is not there")
OUTSIDE = "  note: eu is not behind it: no load balancer or edge is there for it to lead to"


def plan(problem: Problem | None = None, *changes: Change) -> StorePlan:
    return StorePlan("azure", "llm", "westeurope", changes, problem)


def test_its_price_its_changes_and_what_is_not_behind_it_are_told() -> None:
    lines = door_lines.plan_lines(plan(None, CHANGE), SPEC)
    assert lines[:2] == [
        "front door: Azure Front Door, standard, $35.00 a month and by use",
        "  + front door llm: it is not there",
    ]
    assert OUTSIDE in lines


def test_one_that_is_as_it_should_be_still_tells_what_is_not_behind_it() -> None:
    lines = door_lines.plan_lines(plan(), SPEC)
    assert lines[1] == "  nothing to do"
    assert OUTSIDE in lines


def test_what_a_plan_leaves_out_is_told_first() -> None:
    waiting = replace(plan(), notes=("not now: origin east",))
    assert door_lines.plan_lines(waiting, SPEC)[1:3] == ["  nothing to do", "  note: not now: origin east"]
    told = door_lines.as_json(waiting, SPEC)
    assert told is not None
    assert told["notes"][0] == "not now: origin east"  # type: ignore[index]


def test_one_that_cannot_be_read_has_its_problem() -> None:
    head, line = door_lines.plan_lines(plan(Problem("Azure does not answer")), SPEC)
    assert head.startswith("front door: ")
    assert "Azure does not answer" in line


def test_nothing_is_told_where_none_is_asked_for() -> None:
    assert door_lines.plan_lines(None, SPEC) == []
    assert door_lines.as_json(None, SPEC) is None


def test_as_json_it_has_all_of_it() -> None:
    told = door_lines.as_json(plan(None, CHANGE), SPEC)
    assert told is not None
    assert (told["name"], told["region"], told["problem"]) == ("llm", "westeurope", None)
    assert told["price"]["monthly"] == "35.00"  # type: ignore[index,call-overload]
    assert [each["kind"] for each in told["changes"]] == ["azure.front_door"]  # type: ignore[attr-defined]
