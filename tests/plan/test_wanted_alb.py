"""What a site behind a load balancer should hold, and what is said where it holds something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws, aws_alb
from arriero.spec.model import Spec

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b"
ALB: Mapping[str, Any] = {"hosts": ["llm.example.com"], "certificates": [CERTIFICATE]}


def spec(alb: Mapping[str, Any] | None = None, site: str = "aws-east", **changes: Any) -> Spec:
    ingress = {"ingress": {"alb": {**ALB, **alb}}} if alb is not None else {}
    whole = {"name": "llm", "image": "acme/llm:1", "models": ["llama2"]}
    sites = {"sites": {site: {"cloud": "aws", "region": "us-east-1"}}}
    return Spec.model_validate({**whole, **sites, **ingress, **changes})


def planned(wish: Spec, found: SiteFacts) -> SitePlan:
    return place.plan(wish, Facts("llm", {found.site: found})).sites[0]


def nothing(site: str = "aws-east") -> SiteFacts:
    return SiteFacts(site, "aws", "us-east-1")


def as_wished(wish: Spec, changed: Mapping[str, Mapping[str, Any]] | None = None) -> SiteFacts:
    """A site that holds what is wished, but for what `changed` says of each kind and name."""
    found = nothing(next(iter(wish.sites)))
    there = [_with(each, (changed or {}).get(f"{each.kind} {each.name}", {})) for each in planned(wish, found).wanted]
    return replace(found, resources=tuple(there), count=2)


def _with(resource: Resource, changed: Mapping[str, Any]) -> Resource:
    return replace(resource, properties={**resource.properties, **changed})


def said(plan: SitePlan) -> list[str]:
    return [f"{c.action} {c.kind} {c.name}: {c.reason}" for c in plan.changes]


def of(plan: SitePlan, kind: str, name: str) -> Mapping[str, Any]:
    return next(each.properties for each in plan.wanted if (each.kind, each.name) == (kind, name))


def test_only_the_load_balancers_group_may_reach_the_targets_and_only_named_ranges_reach_it() -> None:
    plan = planned(spec({"allow_from": ["10.1.0.0/16"]}), nothing())
    assert of(plan, "aws.security_group", "llm-aws-east")["ingress"] == ("tcp 11434 group:llm-aws-east-alb",)
    assert of(plan, "aws.security_group", "llm-aws-east-alb") == {
        "ingress": ("tcp 443 10.1.0.0/16", "tcp 443 10.64.0.0/16", "tcp 80 10.1.0.0/16", "tcp 80 10.64.0.0/16"),
        "egress": ("tcp 11434 10.64.0.0/20", "tcp 11434 10.64.16.0/20"),
    }
    steps = [step.name for step in plan.steps]
    assert steps == ["identity", "network", "firewall", "ingress", "logs", "cluster", "service"]
    [note] = plan.notes
    assert note.endswith("10.1.0.0/16, 10.64.0.0/16 may use them")


def test_one_that_the_internet_reaches_lets_in_what_is_named_and_not_its_own_network() -> None:
    plan = planned(spec({"scheme": "internet-facing", "allow_from": ["203.0.113.0/24"], "redirect": False}), nothing())
    assert of(plan, "aws.security_group", "llm-aws-east-alb")["ingress"] == ("tcp 443 203.0.113.0/24",)
    assert list(of(plan, "aws.load_balancer", "llm-aws-east")["listeners"]) == ["443"]


def test_ranges_that_the_spec_names_for_the_targets_still_reach_them() -> None:
    plan = planned(spec({}, network={"allow_from": ["10.9.0.0/24"]}), nothing())
    rules = of(plan, "aws.security_group", "llm-aws-east")["ingress"]
    assert rules == ("tcp 11434 10.9.0.0/24", "tcp 11434 group:llm-aws-east-alb")


def test_a_site_as_wished_needs_nothing() -> None:
    assert said(planned(spec({}), as_wished(spec({})))) == []


@pytest.mark.parametrize(
    ("thing", "changed", "expected"),
    [
        (
            "aws.load_balancer llm-aws-east",
            {"idle_seconds": 60},
            "update aws.load_balancer llm-aws-east: idle_seconds: is 60, should be 4000",
        ),
        (
            "aws.load_balancer llm-aws-east",
            {"scheme": "internet-facing"},
            "replace aws.load_balancer llm-aws-east: scheme: is internet-facing, should be internal",
        ),
        (
            "aws.target_group llm-aws-east",
            {"drain_seconds": 5},
            "update aws.target_group llm-aws-east: drain_seconds: is 5, should be 300",
        ),
        (
            "aws.security_group llm-aws-east-alb",
            {"ingress": ("tcp 443 0.0.0.0/0",)},
            "update aws.security_group llm-aws-east-alb: ingress: is [tcp 443 0.0.0.0/0], "
            "should be [tcp 443 10.64.0.0/16, tcp 80 10.64.0.0/16]",
        ),
        (
            "aws.service llm-aws-east",
            {"load_balancers": ()},
            "update aws.service llm-aws-east: load_balancers: is [], "
            "should be [{group: llm-aws-east, container: sidecar, port: 11434}]",
        ),
    ],
)
def test_what_was_changed_by_hand_is_named(thing: str, changed: Mapping[str, Any], expected: str) -> None:
    assert said(planned(spec({}), as_wished(spec({}), {thing: changed}))) == [expected]


def test_a_listener_opened_by_hand_is_named() -> None:
    listeners = of(planned(spec({}), nothing()), "aws.load_balancer", "llm-aws-east")["listeners"]
    opened = {**listeners, "8080": {"protocol": "HTTP", "action": "forward to llm-aws-east"}}
    found = as_wished(spec({}), {"aws.load_balancer llm-aws-east": {"listeners": opened}})
    [line] = said(planned(spec({}), found))
    assert line.startswith("update aws.load_balancer llm-aws-east: listeners.8080: is {protocol: HTTP")


def test_a_service_behind_one_gives_way_to_another_where_the_spec_has_it_no_more() -> None:
    plan = planned(spec(), as_wished(spec({})))
    assert plan.problem is None
    lines = said(plan)
    assert "create aws.service llm-aws-east-r2: it is not there" in lines
    assert "remove aws.service llm-aws-east: it runs release 1, and release 2 takes its place" in lines
    removed = {line.partition(":")[0] for line in lines if line.startswith("remove")}
    assert removed == {
        "remove aws.service llm-aws-east",
        "remove aws.load_balancer llm-aws-east",
        "remove aws.target_group llm-aws-east",
        "remove aws.security_group llm-aws-east-alb",
    }
    assert [step.name for step in plan.steps][-1] == "retire"


def test_long_names_are_cut_and_told_apart() -> None:
    names = {
        aws_alb.name(f"a-service-of-24-characters-{end}") for end in ("aws-east-production-1", "aws-east-production-2")
    }
    assert len(names) == 2
    assert all(len(name) <= 32 for name in names)
    assert aws_alb.name("llm-aws-east") == "llm-aws-east"


def test_the_sidecar_knows_the_names_by_which_clients_know_the_load_balancer() -> None:
    [container] = [
        each
        for each in aws.definition(spec({}).site("aws-east"))["containerDefinitions"].items()
        if each[0] == "sidecar"  # type: ignore[union-attr]
    ]
    assert container[1]["environment"]["ARRIERO_HOSTS"] == "llm.example.com"
