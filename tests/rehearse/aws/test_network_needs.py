"""What private networks ask of permissions: the exported policies allow each call for what is ours, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from arriero.pipeline.iam import files as iam
from arriero.rehearse.aws.calls import Call
from arriero.rehearse.aws.needs import needs_of
from arriero.rehearse.permissions import AwsPolicies
from arriero.spec.model import Spec

OURS = [{"Key": "arriero-service", "Value": "llm"}]
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/llm:1"


def policies(way: str) -> AwsPolicies:
    where = {"cloud": "aws", "region": "us-east-1", "network": {"mode": "private", "way_out": way}}
    accounts = {"aws": "123456789012"}
    given = {"name": "llm", "image": IMAGE, "models": ["llama2"], "sites": {"east": where}, "accounts": accounts}
    return AwsPolicies(json.loads(text) for text in iam.files(Spec.model_validate(given), Path()).values())


def call(action: str, **fields: str) -> Call:
    whole = {name.replace("_", "."): value for name, value in fields.items()}
    return Call("ec2", "us-east-1", action, "", "", "", "ec2", fields=whole)


def tagging(kind: str) -> dict[str, str]:
    start = "TagSpecification_1"
    return {
        f"{start}_ResourceType": kind,
        f"{start}_Tag_1_Key": "arriero-service",
        f"{start}_Tag_1_Value": "llm",
    }


def is_allowed(way: str, asked: Call) -> bool:
    needs = needs_of(asked)
    assert needs
    assert all(need.is_known for need in needs)
    return all(policies(way).allows(need) for need in needs)


@pytest.fixture(params=[True, False], ids=["ours", "another's"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A network with each thing in it, all with our tag or none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")

    def tags(kind: str) -> Any:
        return [{"ResourceType": kind, "Tags": OURS}] if request.param else []

    with mock_aws():
        ec2 = boto3.client("ec2", region_name="us-east-1")
        vpc = ec2.create_vpc(CidrBlock="10.64.0.0/16", TagSpecifications=tags("vpc"))["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.64.0.0/24", TagSpecifications=tags("subnet"))["Subnet"]
        group = ec2.create_security_group(
            GroupName="g", Description="g", VpcId=vpc, TagSpecifications=tags("security-group")
        )
        table = ec2.create_route_table(VpcId=vpc, TagSpecifications=tags("route-table"))["RouteTable"]
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip"))
        gateway = ec2.create_nat_gateway(
            SubnetId=subnet["SubnetId"], AllocationId=address["AllocationId"], TagSpecifications=tags("natgateway")
        )["NatGateway"]
        endpoint = ec2.create_vpc_endpoint(
            VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", TagSpecifications=tags("vpc-endpoint")
        )["VpcEndpoint"]
        yield {
            "is_ours": request.param,
            "VpcId": vpc,
            "SubnetId": subnet["SubnetId"],
            "SecurityGroupId": group["GroupId"],
            "RouteTableId": table["RouteTableId"],
            "AllocationId": address["AllocationId"],
            "NatGatewayId": gateway["NatGatewayId"],
            "VpcEndpointId": endpoint["VpcEndpointId"],
        }


def test_a_gateway_is_made_in_our_subnets_and_taken_from_there_only(place: dict[str, Any]) -> None:
    asked = [
        call(
            "CreateNatGateway",
            SubnetId=place["SubnetId"],
            AllocationId=place["AllocationId"],
            **tagging("natgateway"),
        ),
        call("DeleteNatGateway", NatGatewayId=place["NatGatewayId"]),
        call("ReleaseAddress", AllocationId=place["AllocationId"]),
        call("ReplaceRoute", RouteTableId=place["RouteTableId"], NatGatewayId=place["NatGatewayId"]),
    ]
    assert {is_allowed("nat", each) for each in asked} == {place["is_ours"]}


def test_endpoints_are_made_in_our_network_and_taken_from_there_only(place: dict[str, Any]) -> None:
    asked = [
        call(
            "CreateVpcEndpoint",
            VpcId=place["VpcId"],
            SubnetId_1=place["SubnetId"],
            SecurityGroupId_1=place["SecurityGroupId"],
            **tagging("vpc-endpoint"),
        ),
        call(
            "CreateVpcEndpoint", VpcId=place["VpcId"], RouteTableId_1=place["RouteTableId"], **tagging("vpc-endpoint")
        ),
        call("ModifyVpcEndpoint", VpcEndpointId=place["VpcEndpointId"], AddSubnetId_1=place["SubnetId"]),
        call("DeleteVpcEndpoints", VpcEndpointId_1=place["VpcEndpointId"]),
        call("ModifyVpcAttribute", VpcId=place["VpcId"]),
    ]
    assert {is_allowed("endpoints", each) for each in asked} == {place["is_ours"]}


def test_what_is_made_must_carry_our_tag(place: dict[str, Any]) -> None:
    assert is_allowed("nat", call("AllocateAddress", **tagging("elastic-ip")))
    assert not is_allowed("nat", call("AllocateAddress"))


def test_one_way_out_gives_no_leave_for_the_other(place: dict[str, Any]) -> None:
    assert not is_allowed("endpoints", call("AllocateAddress", **tagging("elastic-ip")))
    assert not is_allowed("nat", call("DeleteVpcEndpoints", VpcEndpointId_1=place["VpcEndpointId"]))
