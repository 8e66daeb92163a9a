"""Firewall rules as the plan writes them, a line each, read back into their parts.

A security group's: `tcp 11434 10.64.0.0/16`. An NSG's: `100 inbound allow tcp from 10.64.0.0/16 to *:11434`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network

ANYWHERE = ("*", "0.0.0.0/0", "::/0", "Internet", "Any")
ALL_PORTS = (0, 65535)
MOST_ADDRESSES = 2**24  # a /8: the largest of the private ranges

_NSG = re.compile(r"(\d+) (inbound|outbound) (allow|deny) (\S+) from (\S*) to (\S*):(\S*)")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a line lets through (or, of an NSG, denies): `ports` are pairs of first and last, `peers` whom it is about:
    ranges, or a group's id. `targets` and `priority` are an NSG's; a security group's lines have neither.
    """

    is_inbound: bool
    is_allowed: bool
    protocol: str
    ports: tuple[tuple[int, int], ...]
    peers: tuple[str, ...]
    targets: tuple[str, ...] = ("*",)
    priority: int = 0

    def covers(self, port: int) -> bool:
        return any(first <= port <= last for first, last in self.ports)

    @property
    def is_open(self) -> bool:
        """Whether it lets in a peer that nobody can name: everybody, or more than a /8."""
        return self.is_allowed and any(map(is_open_range, self.peers))


def group_rule(line: str, *, is_inbound: bool) -> Rule:
    """A line of a security group; raises ValueError where it is none."""
    protocol, *rest = line.split(" ")
    if not 1 <= len(rest) <= 2:
        raise ValueError(f"{line!r} is no rule of a security group")
    ports = _ports([rest[0]]) if len(rest) == 2 else (ALL_PORTS,)
    return Rule(is_inbound, True, "*" if protocol == "all" else protocol, ports, (rest[-1],))


def nsg_rule(line: str) -> Rule:
    """A line of an NSG; raises ValueError where it is none."""
    match = _NSG.fullmatch(line)
    if not match:
        raise ValueError(f"{line!r} is no rule of a network security group")
    priority, direction, access, protocol, sources, targets, ports = match.groups()
    is_inbound = direction == "inbound"
    return Rule(
        is_inbound=is_inbound,
        is_allowed=access == "allow",
        protocol=protocol,
        ports=_ports(ports.split(",")),
        peers=tuple((sources if is_inbound else targets).split(",")),
        targets=tuple((targets if is_inbound else sources).split(",")),
        priority=int(priority),
    )


def is_open_range(peer: str) -> bool:
    """Everybody, or so many that it comes to the same."""
    if peer in ANYWHERE:
        return True
    try:
        network = ip_network(peer, strict=False)
    except ValueError:
        return False
    if isinstance(network, IPv4Network):
        return network.num_addresses > MOST_ADDRESSES
    return network.prefixlen < 32


def _ports(texts: Iterable[str]) -> tuple[tuple[int, int], ...]:
    return tuple(_span(text) for text in texts)


def _span(text: str) -> tuple[int, int]:
    if text == "*":
        return ALL_PORTS
    first, _, last = text.partition("-")
    return int(first), int(last or first)
