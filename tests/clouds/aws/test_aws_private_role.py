"""A private site by plain ansible-playbook against the emulated EC2: its way out, drift, another way out, its end.

One site's network lives through all tests of this file, in their order. Its tasks are the other file's.
"""

from __future__ import annotations

from typing import Any

import pytest
from aws_site import AwsSite, Played, spec

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/acme/llm:1"
NAT = spec(image=IMAGE, network={"mode": "private", "way_out": "nat"})
ENDPOINTS = spec(image=IMAGE, network={"mode": "private", "way_out": "endpoints"})
NETWORK = (
    "vpc", "subnet", "route_table", "internet_gateway", "nat_gateway", "elastic_ip", "vpc_endpoint", "security_group"
)  # fmt: skip
STEPS = ("network", "firewall", "endpoints", "retire")


def up(site: AwsSite, wish: Any) -> Played:
    """The steps that are about the network, and no others."""
    variables = site.variables(wish)
    return site.play(
        "every_site.yml", {**variables, "aws_site_steps": [s for s in variables["aws_site_steps"] if s in STEPS]}
    )


def changes(site: AwsSite, wish: Any) -> set[tuple[str, str]]:
    found = site.plan(wish).changes
    return {(each.action, each.kind) for each in found if each.kind.partition(".")[2] in NETWORK}


def test_a_gateway_leads_out_and_a_second_run_changes_nothing(site: AwsSite) -> None:
    made = up(site, NAT)
    assert made.code == 0, made.output
    assert changes(site, NAT) == set()
    again = site.play("every_site.yml", {**site.variables(NAT), "aws_site_steps": ["network", "firewall"]})
    assert (again.code, again.changed) == (0, 0), again.output


def test_what_somebody_opened_and_rerouted_is_put_back(site: AwsSite) -> None:
    ec2, found = site.client("ec2"), site.read()
    for name in ("llm-aws-east", "llm-aws-east-gateway"):
        group = found.find("aws.security_group", name)
        assert group
        everywhere = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        ec2.authorize_security_group_ingress(GroupId=group.id, IpPermissions=[everywhere])
    table, internet = found.find("aws.route_table", "llm-aws-east"), found.find("aws.internet_gateway")
    assert table
    assert internet
    ec2.replace_route(RouteTableId=table.id, DestinationCidrBlock="0.0.0.0/0", GatewayId=internet.id)
    assert changes(site, NAT) == {("update", "aws.security_group"), ("update", "aws.route_table")}
    assert up(site, NAT).code == 0
    assert changes(site, NAT) == set()


def test_endpoints_take_the_gateways_place_and_nothing_leads_outside_any_more(site: AwsSite) -> None:
    done = up(site, ENDPOINTS)
    assert done.code == 0, done.output
    assert changes(site, ENDPOINTS) == set()
    kinds = {resource.kind for resource in site.read().resources}
    assert not kinds & {"aws.nat_gateway", "aws.elastic_ip", "aws.internet_gateway"}


def test_an_endpoint_that_somebody_changed_is_put_back(site: AwsSite) -> None:
    found = site.read()
    endpoint = found.find("aws.vpc_endpoint", "llm-aws-east logs")
    group, gateways = (found.find("aws.security_group", f"llm-aws-east-{end}") for end in ("endpoints", "gateway"))
    assert endpoint
    assert group
    assert gateways
    site.client("ec2").modify_vpc_endpoint(
        VpcEndpointId=endpoint.id, AddSecurityGroupIds=[gateways.id], RemoveSecurityGroupIds=[group.id]
    )
    assert changes(site, ENDPOINTS) == {("update", "aws.vpc_endpoint")}
    assert up(site, ENDPOINTS).code == 0
    assert changes(site, ENDPOINTS) == set()


def test_the_end_leaves_nothing(site: AwsSite) -> None:
    done = site.down()
    assert done.code == 0, done.output
    assert site.read().resources == ()
    assert site.down().changed == 0
