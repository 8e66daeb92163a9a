"""What an AWS site should hold, against facts as they were once read from a converged site, and drifts from them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws, aws_network, aws_task
from arriero.spec.model import Spec

HASH = re.compile(r"\b[0-9a-f]{12}\b")
CASES = Path(__file__).parents[1] / "cases/plan/aws"


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def converged() -> SiteFacts:
    """As `read_site` returned it from the emulated AWS after the role had made the site."""
    data = json.loads((CASES / "converged.json").read_text())
    resources = tuple(Resource(**frozen(each)) for each in data["resources"])
    return SiteFacts("aws-east", "aws", "us-east-1", data["account"], resources, count=data["count"])


def spec(changes: Mapping[str, Any] | None = None) -> Spec:
    whole = {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "size": {"storage": "20GiB"},
        "sites": {"aws-east": {"cloud": "aws", "region": "us-east-1"}},
    }
    return Spec.model_validate({**whole, **(changes or {})})


def merged(found: Any, drift: Any) -> Any:
    """`drift` laid over `found`; null takes a key away."""
    if not isinstance(drift, dict) or not isinstance(found, Mapping):
        return frozen(drift)
    whole = {**found, **{key: merged(found.get(key), part) for key, part in drift.items()}}
    return {key: part for key, part in whole.items() if part is not None}


def drifted(case: Mapping[str, Any]) -> SiteFacts:
    base, drift, gone = converged(), case.get("drift", {}), case.get("gone", [])
    resources = [
        replace(r, properties=merged(r.properties, drift.get(f"{r.kind} {r.name}", {})))
        for r in base.resources
        if f"{r.kind} {r.name}" not in gone
    ]
    extra = [Resource(**frozen(each)) for each in case.get("extra", [])]
    return replace(base, resources=(*resources, *extra), count=case.get("count", base.count))


def planned(wish: Spec, found: SiteFacts) -> SitePlan:
    return place.plan(wish, Facts("llm", {"aws-east": found})).sites[0]


@pytest.mark.parametrize("path", sorted(p for p in CASES.glob("*.json") if p.stem != "converged"), ids=lambda p: p.stem)
def test_each_drift_is_named_with_its_reason(path: Path) -> None:
    case = json.loads(path.read_text())
    plan = planned(spec(case.get("spec")), drifted(case))
    said = [HASH.sub("<hash>", f"{c.action} {c.kind} {c.name}: {c.reason}") for c in plan.changes]
    assert {"changes": said, "steps": [s.name for s in plan.steps], "release": plan.release, "count": plan.count} == {
        "changes": case["changes"],
        "steps": case["steps"],
        "release": case.get("release", 1),
        "count": case.get("wanted_count", 2),
    }


def test_a_converged_site_needs_nothing() -> None:
    assert planned(spec(), converged()).changes == ()


def test_an_empty_account_gets_everything_in_the_order_of_need() -> None:
    plan = planned(spec(), SiteFacts("aws-east", "aws", "us-east-1"))
    assert [step.name for step in plan.steps] == ["identity", "network", "firewall", "logs", "cluster", "service"]
    assert {change.action for change in plan.changes} == {"create"}
    assert len(plan.changes) == 12


def test_another_range_for_a_standing_network_is_refused() -> None:
    plan = planned(spec({"network": {"cidr": "10.70.0.0/16"}}), converged())
    assert str(plan.problem) == (
        "sites.aws-east.network.cidr: the site stands in the network 10.64.0.0/16, which can't become 10.70.0.0/16; "
        "put the range back; or name the site anew, `arriero up`, and take the old one down"
    )
    assert plan.steps == ()


@pytest.mark.parametrize(
    ("cidr", "ranges"),
    [
        ("10.64.0.0/16", ("10.64.0.0/20", "10.64.16.0/20")),
        ("10.64.8.0/24", ("10.64.8.0/28", "10.64.8.16/28")),
        ("10.64.8.0/27", ("10.64.8.0/28", "10.64.8.16/28")),
    ],
)
def test_subnets_take_a_sixteenth_each_but_no_less_than_aws_allows(cidr: str, ranges: tuple[str, str]) -> None:
    assert aws_network.subnet_ranges(cidr) == ranges


def test_new_subnets_take_zones_that_the_account_has() -> None:
    found = SiteFacts("aws-east", "aws", "us-east-1", zones=("us-east-1b", "us-east-1d"))
    assert aws_network.zones(spec().site("aws-east"), found) == ("us-east-1b", "us-east-1d")


def test_a_lost_subnet_comes_back_in_a_zone_that_the_other_does_not_use() -> None:
    base = converged()
    kept = tuple(r for r in base.resources if r.name != "llm-aws-east 10.64.0.0/20")
    found = replace(base, resources=kept, zones=("us-east-1b", "us-east-1c"))
    assert aws_network.zones(spec().site("aws-east"), found) == ("us-east-1c", "us-east-1b")


def test_the_port_of_the_registry_is_let_out() -> None:
    images = ("reg.example.com:5000/a/b:1", "a/b:1")
    ports = [aws_network.egress_ports(spec({"image": i}).site("aws-east")) for i in images]
    assert ports == [(443, 5000), (443,)]


def test_more_storage_than_fargate_includes_is_said_to_go_another_way() -> None:
    [note] = aws.notes(spec({"size": {"storage": "100GiB"}}).site("aws-east"))
    assert "registered by arriero.fleet.ecs_task_definition" in note
    assert aws.notes(spec().site("aws-east")) == ()


def test_what_aws_fills_in_by_itself_is_no_difference() -> None:
    ours = aws_task.document(spec().site("aws-east"), {})
    filled = [
        {
            **{"cpu": 0, "volumesFrom": [], "systemControls": [], "environmentFiles": [], "dependsOn": []},
            **container,
            "linuxParameters": {"capabilities": {"add": [], "drop": ["ALL"]}, "devices": [], "tmpfs": []},
            "environment": container["environment"][::-1],
        }
        for container in ours["containerDefinitions"][::-1]
    ]
    theirs = {
        **ours,
        "containerDefinitions": filled,
        "volumes": [{"name": "scratch", "host": {}}],
        "executionRoleArn": "arn:aws:iam::123456789012:role/arriero/llm/us-east-1/llm-aws-east-exec",
        "revision": 7,
        "placementConstraints": [],
        "status": "ACTIVE",
    }
    assert aws_task.normal_form(theirs) == aws_task.normal_form(ours)


@pytest.mark.parametrize(
    ("standing", "release", "name"),
    [
        ({}, 1, "llm-aws-east"),
        ({"llm-aws-east": 1}, 1, "llm-aws-east"),
        ({"llm-aws-east": 1}, 2, "llm-aws-east-r2"),
        ({"llm-aws-east": 1, "llm-aws-east-r2": 2}, 2, "llm-aws-east-r2"),
        ({"llm-aws-east": 1, "llm-aws-east-r2": 2}, 1, "llm-aws-east"),
        ({"llm-aws-east-r2": 2}, 1, "llm-aws-east-r2"),
        ({"llm-aws-east-r2": 1}, 2, "llm-aws-east"),
    ],
)
def test_a_canary_is_a_service_beside_and_a_way_back_is_none(standing: dict[str, int], release: int, name: str) -> None:
    services = tuple(Resource("aws.service", n, tags={"arriero-release": str(r)}) for n, r in standing.items())
    site = spec({"deploy": {"strategy": {"canary": ["5%", "100%"]}}}).site("aws-east")
    assert aws.service_name(site, SiteFacts("aws-east", "aws", "us-east-1", resources=services), release) == name
