"""Whether security groups let one thing of the emulated AWS reach another: as EC2 judges it, from the stored rules.

The addresses of a stage are loopback's. So a range in a rule is held against the ranges of the peer's subnets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from moto.ec2.models import ec2_backends

_ACCOUNT = "123456789012"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: its security groups' ids, and the ranges of its subnets."""

    groups: frozenset[str]
    ranges: tuple[str, ...]


def lets_through(region: str, source: Place, target: Place, port: int) -> bool:
    """Both must agree: a rule out of one of the source's groups, and one into one of the target's."""
    leaves = any(_lets(rule, target, port) for rule in _rules(region, source.groups, "egress_rules"))
    return leaves and any(_lets(rule, source, port) for rule in _rules(region, target.groups, "ingress_rules"))


def balancer_place(region: str, balancer: Any) -> Place:
    """Without groups it has its network's default one."""
    groups = balancer.security_groups or [_default_group(region, balancer.vpc_id)]
    return Place(frozenset(groups), tuple(str(subnet.cidr_block) for subnet in balancer.subnets))


def address_place(region: str, address: str) -> Place | None:
    """That of the network interface with the address; None where there is none."""
    interfaces = list(ec2_backends[_ACCOUNT][region].enis.values())
    found = next((each for each in interfaces if each.private_ip_address == address), None)
    if found is None:
        return None
    return Place(frozenset(group.id for group in found.group_set), (str(found.subnet.cidr_block),))


def _default_group(region: str, network: str) -> str:
    found = ec2_backends[_ACCOUNT][region].get_security_group_from_name("default", network)
    return str(found.id) if found else ""


def _rules(region: str, groups: Collection[str], which: str) -> Iterable[Any]:
    for name in groups:
        group = ec2_backends[_ACCOUNT][region].get_security_group_from_id(name)
        yield from getattr(group, which) if group else ()


def _lets(rule: Any, peer: Place, port: int) -> bool:
    is_for_port = rule.ip_protocol == "-1" or (
        rule.ip_protocol == "tcp" and int(rule.from_port) <= port <= int(rule.to_port)
    )
    return is_for_port and (rule.source_group.get("GroupId") in peer.groups or _covers(rule.cidr_ipv4, peer.ranges))


def _covers(written: str | None, ranges: Iterable[str]) -> bool:
    """All of them: who is let in from one subnet only is not let in."""
    if not written:
        return False
    return all(ip_network(each).subnet_of(ip_network(written)) for each in ranges)  # type: ignore[arg-type]
