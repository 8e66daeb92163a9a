"""Who may reach a load balancer's listeners, and so the targets behind it, or the edges between: by its own groups,
scheme and listeners.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from arriero.plan.firewall import group_rule, is_open_range
from arriero.plan.model import Resource, SiteFacts
from arriero.plan.wanted import aws_edges
from arriero.plan.wanted.aws_network import INTERNET
from arriero.policy.way import Way


def through_balancer(found: SiteFacts, line: str, leads_to: str = "the targets") -> tuple[Way, ...] | None:
    """The ways that end in a rule of the targets' group which names another group; None where that group is neither
    a load balancer's nor the edges'.
    """
    group = line.rpartition(" group:")[2]
    if _is_of_edges(found, group):
        return tuple(_through_edges(found, group, line))
    balancers = [r for r in found.resources if r.kind == "aws.load_balancer" and group in _groups(r)]
    rules = found.find("aws.security_group", group)
    if not balancers or rules is None:
        return None
    return tuple(way for balancer in balancers for way in _ways(found, balancer, rules, (line, leads_to)))


def _is_of_edges(found: SiteFacts, group: str) -> bool:
    edges = found.find(aws_edges.SERVICE)
    return edges is not None and group in cast("Mapping[str, Any]", edges.properties["network"])["security_groups"]


def _through_edges(found: SiteFacts, group: str, line: str) -> Iterator[Way]:
    """Every way to the edges leads on to the targets, for who has a key."""
    rules = found.find("aws.security_group", group)
    last = f"to port {line.split(' ')[1]} of the targets ({line})"
    for each in cast("tuple[str, ...]", rules.properties["ingress"]) if rules else ():
        before = through_balancer(found, each, "the edges, which ask for keys") if " group:" in each else None
        for way in before or ():
            yield replace(way, through=(*way.through, last) if _leads_on(way) else way.through)
        if before is None:
            rule = group_rule(each, is_inbound=True)
            edges = f"security group {group} ({each}), to the edges, which ask for keys"
            yield from (Way(found.site, peer, f"port {each.split(' ')[1]}", (edges, last)) for peer in rule.peers)


def _leads_on(way: Way) -> bool:
    """A redirect leads nowhere."""
    return way.through[-1].startswith("to port ")


def _ways(found: SiteFacts, balancer: Resource, group: Resource, end: tuple[str, str]) -> Iterator[Way]:
    line, leads_to = end
    listeners = cast("Mapping[str, Mapping[str, Any]]", balancer.properties["listeners"])
    subnets = cast("tuple[str, ...]", balancer.properties["subnets"])
    is_public = balancer.properties["scheme"] == "internet-facing" and leads_outside(found, subnets)
    for rule_line in cast("tuple[str, ...]", group.properties["ingress"]):
        rule = group_rule(rule_line, is_inbound=True)
        for port, listener in sorted(listeners.items(), key=lambda each: -int(each[0])):
            if not rule.covers(int(port)):
                continue
            for peer in rule.peers:
                entrance = ("the internet gateway",) if is_public and _is_outside(found, peer) else ()
                leads = _said(listener)
                through = (
                    *entrance,
                    f"load balancer {balancer.name} ({listener['protocol']} {port}: {leads})",
                    f"security group {group.name} ({rule_line})",
                )
                if "forward to " in leads:
                    through = (*through, f"to port {line.split(' ')[1]} of {leads_to} ({line})")
                yield Way(found.site, "everybody" if is_open_range(peer) else peer, f"port {port}", through)


def _said(listener: Mapping[str, Any]) -> str:
    """What it does; where it answers itself, also what its rules let through all the same."""
    return "; else ".join([*listener.get("rules", ()), str(listener["action"])])


def leads_outside(found: SiteFacts, subnets: Collection[str]) -> bool:
    """Whether one of the subnets has a route to and from the internet."""
    tables = [r for r in found.resources if r.kind == "aws.route_table" and r.properties["default"] == INTERNET]
    routed = {name for table in tables for name in cast("tuple[str, ...]", table.properties["subnets"])}
    routed |= {r.name for r in found.given if r.kind == "aws.subnet" and r.properties["default"] == INTERNET}
    return bool(routed & set(subnets))


def _groups(balancer: Resource) -> tuple[str, ...]:
    return cast("tuple[str, ...]", balancer.properties["security_groups"])


def _is_outside(found: SiteFacts, peer: str) -> bool:
    vpc = found.find("aws.vpc")
    return vpc is None or peer != vpc.properties["cidr"]
