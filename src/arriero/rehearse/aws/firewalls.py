"""Whether security groups let one thing of the emulated AWS reach another: as EC2 judges it, from the stored rules.

The addresses of a stage are loopback's. So a range in a rule is held against the ranges of the peer's subnets. Others
come from addresses of their own: they reach what has a public one and a route to the internet, or come through what is
joined to the network, from private ranges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from moto.ec2.models import ec2_backends
from moto.elbv2.models import elbv2_backends

from arriero.rehearse.namespaces import EVERY_PORT, JOINED, Rule

_ACCOUNT = "123456789012"
_NO_PORT = (1, 0)


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
    found = _interface(region, address)
    return _place(found) if found else None


def rules_of_address(region: str, address: str, *, has_public_address: bool) -> Iterator[Rule]:
    """Who gets through to the network interface that has the address, and to which ports; nobody without one."""
    if (found := _interface(region, address)) is not None:
        is_public = has_public_address and _leads_to_the_internet(region, found.subnet)
        yield from _rules_of(region, found.subnet.vpc_id, _place(found), address, is_public=is_public)


def rules_of_balancer(region: str, balancer: Any) -> Iterator[Rule]:
    """Who gets through to a load balancer, and to which ports."""
    is_public = balancer.scheme == "internet-facing"
    place = balancer_place(region, balancer)
    yield from _rules_of(region, balancer.vpc_id, place, balancer.dns_name, is_public=is_public)


def _rules_of(region: str, network: str, target: Place, address: str, *, is_public: bool) -> Iterator[Rule]:
    ins = list(_rules(region, target.groups, "ingress_rules"))
    for peer, place in _peers(region, network):
        outs = list(_rules(region, place.groups, "egress_rules")) if peer != address else ()
        for into in (each for each in ins if _names(each, place)):
            for out in (each for each in outs if _names(each, target)):
                (first, last), (other_first, other_last) = _ports(into), _ports(out)
                first, last = max(first, other_first), min(last, other_last)
                if first <= last:
                    yield Rule(f"{peer}/32", (first, last))
    for into in ins:
        if into.cidr_ipv4 and _ports(into) != _NO_PORT:
            wanted = ip_network(into.cidr_ipv4)
            for each in (wanted,) if is_public else _within(wanted):
                yield Rule(str(each), _ports(into))


def _within(wanted: IPv4Network | IPv6Network) -> Iterator[IPv4Network | IPv6Network]:
    """What of a range can be joined to a network."""
    for text in JOINED:
        if wanted.overlaps(joined := ip_network(text)):
            yield max(wanted, joined, key=lambda one: one.prefixlen)


def _peers(region: str, network: str) -> Iterator[tuple[str, Place]]:
    """All that has an address there: network interfaces, and load balancers."""
    for each in list(ec2_backends[_ACCOUNT][region].enis.values()):
        if each.subnet.vpc_id == network and each.private_ip_address:
            yield each.private_ip_address, _place(each)
    for balancer in list(elbv2_backends[_ACCOUNT][region].load_balancers.values()):
        if balancer.vpc_id == network:
            yield balancer.dns_name, balancer_place(region, balancer)


def _interface(region: str, address: str) -> Any:
    interfaces = list(ec2_backends[_ACCOUNT][region].enis.values())
    return next((each for each in interfaces if each.private_ip_address == address), None)


def _place(interface: Any) -> Place:
    return Place(frozenset(group.id for group in interface.group_set), (str(interface.subnet.cidr_block),))


def _leads_to_the_internet(region: str, subnet: Any) -> bool:
    """By the routes of its own table, else of its network's."""
    tables = list(ec2_backends[_ACCOUNT][region].route_tables.values())
    own = [one for one in tables if any(each.get("SubnetId") == subnet.id for each in one.associations)]
    main = [one for one in tables if one.vpc_id == subnet.vpc_id and one.main_association_id]
    gateways = (getattr(route.gateway, "id", "") for table in own or main for route in table.routes)
    return any(str(each).startswith("igw-") for each in gateways)


def _default_group(region: str, network: str) -> str:
    found = ec2_backends[_ACCOUNT][region].get_security_group_from_name("default", network)
    return str(found.id) if found else ""


def _rules(region: str, groups: Collection[str], which: str) -> Iterable[Any]:
    for name in groups:
        group = ec2_backends[_ACCOUNT][region].get_security_group_from_id(name)
        yield from getattr(group, which) if group else ()


def _lets(rule: Any, peer: Place, port: int) -> bool:
    first, last = _ports(rule)
    return first <= port <= last and _names(rule, peer)


def _ports(rule: Any) -> tuple[int, int]:
    if rule.ip_protocol == "-1":
        return EVERY_PORT
    return (int(rule.from_port), int(rule.to_port)) if rule.ip_protocol == "tcp" else _NO_PORT


def _names(rule: Any, peer: Place) -> bool:
    return rule.source_group.get("GroupId") in peer.groups or _covers(rule.cidr_ipv4, peer.ranges)


def _covers(written: str | None, ranges: Iterable[str]) -> bool:
    """All of them: who is let in from one subnet only is not let in."""
    if not written:
        return False
    return all(ip_network(each).subnet_of(ip_network(written)) for each in ranges)  # type: ignore[arg-type]
