"""Who may get in: at the gateway, and at the targets, whose servers ask nobody for a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any, cast

from arriero.plan.firewall import Rule as Opening
from arriero.plan.firewall import group_rule, nsg_rule
from arriero.plan.model import Resource, SiteFacts
from arriero.plan.wanted import aws_alb, azure_edges
from arriero.plan.wanted.azure_apps import FIRST_PORT, PORTS
from arriero.policy.rule import Hit, Subject, rule
from arriero.spec.gpu import is_virtual

PORT = 11434


@rule(
    "public-without-keys",
    "error",
    reason="Ollama and its sidecar ask nobody for a key: whoever reaches them may use, read and fill the service",
    remedy="let clients come through a gateway with keys, and name private ranges only in network.allow_from",
)
def public_without_keys(subject: Subject) -> Iterator[Hit]:
    for key, sources in _allowed(subject):
        for index, source in enumerate(sources):
            if ip_network(source).is_global:
                what = f"{source} is a public range, and targets ask it for no key"
                yield Hit(f"{key}.allow_from[{index}]", what, "error" if subject.spec.policy.production else "warning")
    for site, group, opening in _openings(subject):
        if opening.is_open and (reached := _of_ollama(subject, site, opening)):
            yield Hit(f"sites.{site}", f"{group} lets everybody reach port {_ports(reached)}, which asks for no key")


@rule(
    "open-range",
    "error",
    reason="a port that everybody may reach is tried by everybody",
    remedy="close it: run `arriero up`, which puts the security group back",
)
def open_range(subject: Subject) -> Iterator[Hit]:
    for key, sources in _allowed(subject):
        for index, source in enumerate(sources):
            network = ip_network(source)
            if network.is_global and network.prefixlen < 16:
                what = f"{source} are {network.num_addresses:,} public addresses"
                yield Hit(f"{key}.allow_from[{index}]", what, remedy="name the ranges that you know")
    for site, group, opening in _openings(subject):
        if opening.is_open and not (opening.ports == ((PORT, PORT),) and _of_ollama(subject, site, opening)):
            if _leads_to_keys(subject, site, group, opening):
                continue
            yield Hit(f"sites.{site}", f"{group} lets everybody in: {_said(opening)}")


@rule(
    "plain-http",
    "warning",
    reason="keys and questions can be read on their way",
    remedy="set gateway.tls, or listen on loopback behind a proxy that has it",
)
def plain_http(subject: Subject) -> Iterator[Hit]:
    gateway = subject.spec.gateway
    if not ip_address(gateway.address).is_loopback and gateway.tls is None:
        yield Hit("gateway.address", f"{gateway.address} is off this machine, and it speaks http")


@rule(
    "public-address",
    "note",
    reason="a server with an address of its own is reachable as soon as a firewall has a hole",
    remedy="write network: private, which gives them a NAT gateway or endpoints as their way out, and no address",
)
def public_address(subject: Subject) -> Iterator[Hit]:
    for name, site in subject.spec.sites.items():
        if site.cloud == "aws" and not subject.spec.site(name).network.is_private:
            is_graver = subject.spec.policy.production
            yield Hit(f"sites.{name}", "its tasks have public addresses", "warning" if is_graver else "note")


@rule(
    "past-the-front-door",
    "error",
    reason="who knows the name of a load balancer, or of edges, goes past what the Front Door is there for",
    remedy="run `arriero up`, which has it answer the Front Door alone",
)
def past_the_front_door(subject: Subject) -> Iterator[Hit]:
    if subject.spec.ingress.front_door is None:
        return
    for found in subject.facts.sites.values() if subject.facts else ():
        for balancer in (each for each in found.resources if each.kind == aws_alb.BALANCER):
            listeners = cast("dict[str, dict[str, Any]]", balancer.properties["listeners"])
            told = (way for each in listeners.values() for way in (each["action"], *each.get("rules", ())))
            if any(aws_alb.leads_past(str(way), found.front_door) for way in told):
                yield Hit(
                    f"sites.{found.site}", f"load balancer {balancer.name} answers others than the Front Door, too"
                )
        for app in (each for each in found.resources if each.kind == azure_edges.APP_KIND):
            asked = cast("dict[str, Any]", app.properties["settings"]).get("front_door_id")
            if not asked or (found.front_door and asked not in (found.front_door, azure_edges.NO_DOOR)):
                yield Hit(f"sites.{found.site}", f"edges {app.name} answer others than the Front Door, too")


def _leads_to_keys(subject: Subject, site: str, group: str, opening: Opening) -> bool:
    """Whether it is the door of a load balancer before edges, which ask for keys, and the spec lets everybody come."""
    wish = subject.spec.site(site)
    if (
        wish.alb is None
        or wish.edges is None
        or not any(ip_network(each).prefixlen == 0 for each in wish.alb.allow_from)
    ):
        return False
    is_its_own = group.endswith(f" {aws_alb.group_name(f'{wish.service}-{wish.name}')}")
    doors = {(port, port) for port in aws_alb.ports(wish.alb)}
    return is_its_own and opening.protocol == "tcp" and set(opening.ports) <= doors


def _allowed(subject: Subject) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each section that says who may reach targets, with its ranges."""
    spec = subject.spec
    yield "network", spec.network.allow_from
    for name, site in spec.sites.items():
        if site.network and "allow_from" in site.network.model_fields_set:
            yield f"sites.{name}.network", site.network.allow_from


def _openings(subject: Subject) -> Iterator[tuple[str, str, Opening]]:
    """What each firewall that was read lets in: site, firewall, rule."""
    for site in subject.facts.sites.values() if subject.facts else ():
        if site.site in subject.spec.sites:
            yield from _of_site(site)


def _of_site(site: SiteFacts) -> Iterator[tuple[str, str, Opening]]:
    for resource in site.resources:
        for opening in inbound(resource):
            yield site.site, f"{resource.kind.partition('.')[2].replace('_', ' ')} {resource.name}", opening


def inbound(resource: Resource) -> list[Opening]:
    """The inbound rules of a firewall, in their order; none of anything else."""
    if resource.kind == "aws.security_group":
        lines = cast("tuple[str, ...]", resource.properties["ingress"])
        return [group_rule(line, is_inbound=True) for line in lines]
    if resource.kind == "azure.network_security_group":
        rules = cast("dict[str, str]", resource.properties["rules"])
        return sorted((r for r in map(nsg_rule, rules.values()) if r.is_inbound), key=lambda r: r.priority)
    return []


def _of_ollama(subject: Subject, site: str, opening: Opening) -> tuple[tuple[int, int], ...]:
    """Which ports of the site's targets it leads to, first and last: container apps have one each."""
    wish = subject.spec.site(site)
    is_of_apps = wish.cloud == "azure" and wish.gpu is not None and not is_virtual(wish.gpu)
    least, most = (FIRST_PORT, FIRST_PORT + PORTS - 1) if is_of_apps else (PORT, PORT)
    spans = opening.ports if opening.protocol in ("*", "tcp") else ()
    return tuple((max(first, least), min(last, most)) for first, last in spans if first <= most and last >= least)


def _ports(spans: Iterable[tuple[int, int]]) -> str:
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def _said(opening: Opening) -> str:
    ports, peers = _ports(opening.ports), ", ".join(opening.peers)
    return f"{opening.protocol} {ports} from {peers}".replace("* 0-65535", "everything")


RULES = (public_without_keys, open_range, plain_http, public_address, past_the_front_door)
