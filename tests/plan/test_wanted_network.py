"""The network that a site at AWS should have: private or public, arriero's own or the user's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from arriero.clouds.aws.variables import removal_variables, site_variables
from arriero.errors import Refused
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws_network
from arriero.spec.model import ResolvedSite, Spec

ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/llm:1"
EMPTY = SiteFacts("east", "aws", "us-east-1", prefix_lists={"com.amazonaws.us-east-1.s3": "pl-63a5400a"})
VPC, SUBNETS = "vpc-0123456789abcdef0", ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
OWN = {"vpc": VPC, "subnets": SUBNETS, "cidr": "10.20.0.0/16"}
NAT = {"mode": "private"}
ENDPOINTS = {"mode": "private", "way_out": "endpoints"}


def spec(network: Any, **more: Any) -> Spec:
    where = {"cloud": "aws", "region": "us-east-1", "network": network}
    return Spec.model_validate({"name": "llm", "image": ECR, "models": ["llama2"], "sites": {"east": where}, **more})


def site(network: Any, **more: Any) -> ResolvedSite:
    return spec(network, **more).site("east")


def planned(network: Any, found: SiteFacts = EMPTY, **more: Any) -> SitePlan:
    return place.plan(spec(network, **more), Facts("llm", {"east": found})).sites[0]


def standing(network: Any) -> SiteFacts:
    """A site that is just as wished."""
    details: Any = {"vpc_id": "vpc-1", "revisions": (), "arn": "", "propagate_tags": ""}
    wanted = planned(network).wanted
    found = tuple(replace(each, id=f"a/b/id of {each.name}", details={**each.details, **details}) for each in wanted)
    return replace(EMPTY, resources=found, count=2)


def given(default: str | None = "nat gateway", ranges: tuple[str, ...] = ("10.20.0.0/16",)) -> SiteFacts:
    """A region with the user's own VPC."""
    vpc = Resource("aws.vpc", VPC, {"ranges": ranges}, VPC)
    rows = [
        Resource("aws.subnet", name, {"cidr": f"10.20.{n}.0/24", "zone": f"us-east-1{zone}", "default": default}, name)
        for n, (name, zone) in enumerate(zip(SUBNETS, "ab", strict=True))
    ]
    return replace(EMPTY, given=(vpc, *rows))


def test_private_is_short_for_a_mode_and_what_production_has_by_default() -> None:
    assert site("private").network.is_private
    assert not site({}).network.is_private
    assert site({}, policy={"production": True}).network.is_private
    assert not site("public", policy={"production": True}).network.is_private


def test_a_private_site_gets_an_edge_with_a_gateway_and_targets_behind_it() -> None:
    plan = planned(NAT)
    assert [step.name for step in plan.steps] == ["identity", "network", "firewall", "logs", "cluster", "service"]
    found = {f"{r.kind} {r.name}": r.properties for r in plan.wanted}
    edge = ("llm-east 10.64.32.0/20", "llm-east 10.64.48.0/20")
    assert found["aws.route_table llm-east-edge"] == {"default": "internet gateway", "subnets": edge}
    assert found["aws.route_table llm-east"]["default"] == "nat gateway"
    assert found["aws.nat_gateway llm-east"] == {"subnet": edge[0], "address": "llm-east", "state": "available"}
    assert found["aws.service llm-east"]["network"]["public_ip"] is False  # type: ignore[index, call-overload]
    zones = [found[f"aws.subnet {name}"]["zone"] for name in edge]
    assert zones == ["us-east-1a", "us-east-1b"]


def test_only_who_carries_the_gateways_group_or_is_named_gets_in() -> None:
    rules = aws_network.group_rules(site({**NAT, "allow_from": ["10.8.0.0/24"]}), EMPTY)
    assert rules["llm-east"] == {
        "ingress": ("tcp 11434 10.8.0.0/24", "tcp 11434 group:llm-east-gateway"),
        "egress": ("tcp 443 0.0.0.0/0",),
    }
    assert rules["llm-east-gateway"] == {
        "ingress": (),
        "egress": ("tcp 11434 10.64.0.0/20", "tcp 11434 10.64.16.0/20"),
    }
    assert list(rules)[-1] == "llm-east"


def test_with_endpoints_nothing_leads_to_the_internet() -> None:
    plan = planned(ENDPOINTS)
    kinds = {resource.kind for resource in plan.wanted}
    assert not kinds & {"aws.internet_gateway", "aws.nat_gateway", "aws.elastic_ip"}
    found = {f"{r.kind} {r.name}": r.properties for r in plan.wanted}
    assert found["aws.route_table llm-east"]["default"] is None
    assert found["aws.security_group llm-east"]["egress"] == (
        "tcp 443 com.amazonaws.us-east-1.s3",
        "tcp 443 group:llm-east-endpoints",
    )
    assert {name for name in found if name.startswith("aws.vpc_endpoint")} == {
        f"aws.vpc_endpoint llm-east {service}" for service in ("ecr.api", "ecr.dkr", "logs", "s3")
    }
    assert [step.name for step in plan.steps][1:4] == ["network", "firewall", "endpoints"]


@pytest.mark.parametrize("network", [NAT, ENDPOINTS, {}])
def test_what_stands_as_wished_needs_nothing(network: Any) -> None:
    assert planned(network, standing(network)).changes == ()


def test_a_way_out_that_stands_is_not_left_for_a_cheaper_one() -> None:
    assert planned(NAT, standing(ENDPOINTS)).changes == ()
    changes = planned({**NAT, "way_out": "nat"}, standing(ENDPOINTS)).changes
    assert {(change.action, change.kind) for change in changes} >= {
        ("create", "aws.nat_gateway"),
        ("remove", "aws.vpc_endpoint"),
        ("update", "aws.route_table"),
    }


def test_a_rule_that_somebody_opened_is_a_difference() -> None:
    found = standing(NAT)
    opened = tuple(
        replace(r, properties={**r.properties, "ingress": (*r.properties["ingress"], "tcp 22 0.0.0.0/0")})  # type: ignore[misc]
        if r.name == "llm-east-gateway"
        else r
        for r in found.resources
    )
    [change] = planned(NAT, replace(found, resources=opened)).changes
    assert str(change.reason) == "ingress: is [tcp 22 0.0.0.0/0], should be []"


def test_in_a_network_of_the_users_own_the_groups_are_all_that_is_made() -> None:
    plan = planned({**OWN, "mode": "private"}, given())
    assert plan.problem is None
    network = [r for r in plan.wanted if aws_network_kind(r)]
    assert {(r.kind, r.name) for r in network} == {
        ("aws.security_group", "llm-east"),
        ("aws.security_group", "llm-east-gateway"),
    }
    service = next(r for r in plan.wanted if r.kind == "aws.service")
    assert service.properties["network"] == {
        "subnets": SUBNETS, "security_groups": ("llm-east",), "public_ip": False
    }  # fmt: skip
    variables = site_variables(site({**OWN, "mode": "private"}), plan, given())
    assert (variables["aws_site_vpc_id"], variables["aws_site_subnet_ids"]) == (VPC, list(SUBNETS))
    assert "network" not in variables["aws_site_steps"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("network", "found", "said"),
    [
        (OWN, EMPTY, f"vpc: there is no {VPC} in us-east-1"),
        (OWN, given(ranges=("10.1.0.0/16",)), f"cidr: {VPC} has 10.1.0.0/16, and the spec says 10.20.0.0/16"),
        ({**OWN, "mode": "private"}, replace(given(), given=given().given[:2]), f"subnets: {VPC} has no {SUBNETS[1]}"),
        ({**OWN, "mode": "private"}, given("internet gateway"), "leads to an internet gateway, and targets without"),
        ({**OWN, "mode": "public"}, given(), "leads to nat gateway, and public addresses need an internet gateway"),
        ({**OWN, "mode": "public"}, given(None), "leads to nowhere outside, and public addresses need"),
    ],
)
def test_what_a_network_of_the_users_own_lacks_is_told(network: Any, found: SiteFacts, said: str) -> None:
    problem = planned(network, found).problem
    assert problem is not None
    assert said in str(problem)


def test_a_site_does_not_move_from_its_own_network_into_another() -> None:
    found = replace(standing(NAT), given=given().given)
    with pytest.raises(Refused, match="stands in a network that arriero made, and can't move into yours"):
        aws_network.wanted(site({**OWN, "mode": "private"}), found)


def test_rules_are_handed_over_in_the_modules_words() -> None:
    variables = site_variables(site(ENDPOINTS), planned(ENDPOINTS), EMPTY)
    groups: Any = variables["aws_site_groups"]
    by_name = {group["name"]: group for group in groups}
    assert by_name["llm-east"]["rules_egress"] == [
        {"proto": "tcp", "ports": ["443"], "ip_prefix": ["pl-63a5400a"]},
        {"proto": "tcp", "ports": ["443"], "group_name": ["llm-east-endpoints"]},
    ]
    assert by_name["llm-east-endpoints"]["rules"][0] == {
        "proto": "tcp", "ports": ["443"], "cidr_ip": ["10.64.0.0/20"]
    }  # fmt: skip
    assert [group["name"] for group in groups][-1] == "llm-east"


def test_what_refers_to_others_goes_before_them() -> None:
    gone: Any = removal_variables(standing(ENDPOINTS), purge=True)["aws_site_gone"]
    assert gone["security_groups"][0] == "a/b/id of llm-east"
    assert len(gone["security_groups"]) == 3
    assert len(gone["vpc_endpoints"]) == 4
    assert removal_variables(given(), purge=True)["aws_site_gone"]["vpcs"] == []  # type: ignore[index, call-overload]


def aws_network_kind(resource: Resource) -> bool:
    ends = ("vpc", "subnet", "table", "gateway", "ip", "endpoint", "security_group")
    return resource.kind.endswith(ends)
