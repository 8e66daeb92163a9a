"""Who gets through to an address of the emulated AWS, by its stored security groups and routes."""

from __future__ import annotations

from typing import Any

import pytest
from emulated_cloud import EAST, Cloud

from arriero.rehearse.aws.firewalls import rules_of_address
from arriero.rehearse.namespaces import Rule

TARGET, EDGE, OTHER = "10.0.0.10", "10.0.0.20", "10.0.0.30"


class Network:
    """A target, what may ask it by its group, and what has neither; `targets` lets in nobody yet."""

    def __init__(self, cloud: Cloud) -> None:
        self.ec2 = cloud.client("ec2")
        [self.subnet] = cloud.network()["awsvpcConfiguration"]["subnets"]
        self.vpc = self.ec2.describe_subnets(SubnetIds=[self.subnet])["Subnets"][0]["VpcId"]
        self.targets, self.edges, self.others = map(self._group, ("targets", "edges", "others"))
        for address, group in ((TARGET, self.targets), (EDGE, self.edges), (OTHER, self.others)):
            self.ec2.create_network_interface(SubnetId=self.subnet, PrivateIpAddress=address, Groups=[group])

    def _group(self, name: str) -> str:
        return str(self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"])

    def let(self, first: int, last: int, **source: Any) -> None:
        rule = {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, **source}
        self.ec2.authorize_security_group_ingress(GroupId=self.targets, IpPermissions=[rule])

    def lead_out(self) -> None:
        gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=self.subnet)

    def told(self, *, has_public_address: bool = False) -> set[Rule]:
        return set(rules_of_address(EAST, TARGET, has_public_address=has_public_address))


@pytest.fixture
def network(cloud: Cloud) -> Network:
    return Network(cloud)


def test_what_no_rule_names_gets_through_nowhere(network: Network) -> None:
    assert network.told() == set()
    assert list(rules_of_address(EAST, "10.0.0.99", has_public_address=True)) == []


def test_who_carries_the_group_gets_through_as_far_as_its_own_group_lets_it_out(network: Network) -> None:
    network.let(11000, 12000, UserIdGroupPairs=[{"GroupId": network.edges}])
    assert network.told() == {Rule(f"{EDGE}/32", (11000, 12000))}
    every = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    network.ec2.revoke_security_group_egress(GroupId=network.edges, IpPermissions=[every])
    assert network.told() == set()
    out = {"IpProtocol": "tcp", "FromPort": 11434, "ToPort": 65535, "IpRanges": [{"CidrIp": "10.0.0.0/24"}]}
    network.ec2.authorize_security_group_egress(GroupId=network.edges, IpPermissions=[out])
    assert network.told() == {Rule(f"{EDGE}/32", (11434, 12000))}


def test_a_range_of_the_internet_reaches_what_has_a_public_address_and_a_route(network: Network) -> None:
    network.let(11434, 11434, IpRanges=[{"CidrIp": "198.51.100.0/24"}])
    assert network.told(has_public_address=True) == set()
    network.lead_out()
    assert network.told() == set()
    assert network.told(has_public_address=True) == {Rule("198.51.100.0/24", (11434, 11434))}


def test_a_private_range_comes_through_what_is_joined(network: Network) -> None:
    network.let(11434, 11434, IpRanges=[{"CidrIp": "10.8.0.0/24"}])
    assert network.told() == {Rule("10.8.0.0/24", (11434, 11434))}


def test_everybody_means_the_network_and_what_is_joined_where_nothing_leads_in(network: Network) -> None:
    network.let(11434, 11434, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    joined = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"}
    near = {f"{EDGE}/32", f"{OTHER}/32"}
    assert network.told() == {Rule(source, (11434, 11434)) for source in joined | near}
