"""Who gets through to a container group, a virtual machine or an app's replica: as Azure judges it, from the network
security groups that are stored. One that an interface has of its own is not emulated.

The addresses of a stage are loopback's. So what a rule says of sources is held against the subnets of those that are in
the same network, and those of elsewhere come through what is joined to it, from private ranges: no address here is
public but that of a group without a subnet. Replicas of apps are reached through their environment's ingress alone
(https://learn.microsoft.com/azure/container-apps/networking).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from arriero.rehearse.azure import app_rules, machine_rules, network
from arriero.rehearse.azure.answers import Document
from arriero.rehearse.azure.ids import type_of
from arriero.rehearse.azure.replicas import KIND as REPLICAS
from arriero.rehearse.azure.types import CONTAINER_APPS, ENVIRONMENTS, VIRTUAL_MACHINES
from arriero.rehearse.azure.world import World
from arriero.rehearse.namespaces import EVERY_PORT, JOINED, Rule

_Ranges = Sequence[IPv4Network | IPv6Network]

_EVERYBODY, _OF_THE_STAGE = "0.0.0.0/0", "127.0.0.0/8"
_OF_THE_NETWORK = ("*", "0.0.0.0/0", "virtualnetwork")


def rules(world: World, key: str) -> Iterator[Rule]:
    """Of a container group, a machine, a container app or a replica, by its key. The state's lock is held."""
    if type_of(key) in (CONTAINER_APPS, REPLICAS.lower()):
        ingress = str(_environment(world, key)["properties"].get("staticIp") or "")
        if ingress:
            yield Rule(f"{ingress}/32")
        return
    subnet = _subnet(world, key)
    if not subnet:
        address = world.state.resources[key]["properties"].get("ipAddress") or {}
        yield from (Rule(_EVERYBODY, (int(one["port"]),) * 2) for one in address.get("ports") or ())
        return
    peers = dict(_peers(world, subnet))
    for told in _told(world, subnet):
        yield from _of(told, peers)


def doors(world: World) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    """Who gets through to the ingress of each environment of apps, by its address."""
    for key, one in world.state.resources.items():
        about = one["properties"] if type_of(key) == ENVIRONMENTS else {}
        if address := about.get("staticIp"):
            is_internal = (about.get("vnetConfiguration") or {}).get("internal")
            yield str(address), tuple(map(Rule, (_OF_THE_STAGE, *JOINED) if is_internal else (_EVERYBODY,)))


def _of(told: Mapping[str, Any], peers: Mapping[str, _Ranges]) -> Iterator[Rule]:
    """Of one rule of an NSG: those of the network that it names, then those of elsewhere."""
    lets = told["access"] == "Allow"
    sources = [
        str(one).lower() for one in told.get("sourceAddressPrefixes") or [told.get("sourceAddressPrefix")] if one
    ]
    if str(told.get("protocol", "*")).lower() not in ("*", "tcp"):
        return
    for ports in map(_ports, told.get("destinationPortRanges") or [told["destinationPortRange"]]):
        for source in sources:
            yield from (Rule(f"{one}/32", ports, lets) for one, place in peers.items() if _covers(source, place))
            yield from (Rule(each, ports, lets) for each in _joined(source))


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return EVERY_PORT if text == "*" else (int(first), int(last or first))


def _covers(source: str, place: _Ranges) -> bool:
    """All of its subnet."""
    if source in _OF_THE_NETWORK:
        return True
    return source[0].isdigit() and all(each.subnet_of(ip_network(source)) for each in place)  # type: ignore[arg-type]


def _joined(source: str) -> Iterator[str]:
    """What of it can be joined to a network; nothing of the internet's."""
    if source in _OF_THE_NETWORK:
        yield from JOINED
    elif source[0].isdigit():
        wanted = ip_network(source)
        for each in map(ip_network, JOINED):
            if wanted.overlaps(each):
                yield str(max(wanted, each, key=lambda one: one.prefixlen))


def _told(world: World, subnet: str) -> list[Mapping[str, Any]]:
    """What comes in by the NSG of a subnet, by priority, with Azure's own rules at the end; all where it has none."""
    guard = (world.state.resources[subnet]["properties"].get("networkSecurityGroup") or {}).get("id", "").lower()
    group = world.state.resources.get(guard)
    if group is None:
        return [{"access": "Allow", "sourceAddressPrefix": "*", "destinationPortRange": "*"}]
    own = [world.state.resources[key]["properties"] for key in network.children(world.state, guard)]
    given = [each["properties"] for each in group["properties"].get("defaultSecurityRules") or ()]
    inbound = [each for each in (*own, *given) if each["direction"] == "Inbound"]
    return sorted(inbound, key=lambda each: int(each["priority"]))


def _peers(world: World, subnet: str) -> Iterator[tuple[str, _Ranges]]:
    """All that has an address in the same network, with the ranges of its subnet."""
    around = subnet.rpartition("/subnets/")[0]
    for key in world.state.runs:
        place = _subnet(world, key)
        address = _address(world, key)
        if address and place.startswith(f"{around}/"):
            yield str(address), network.ranges(world.state.resources[place])


def _address(world: World, key: str) -> str:
    """That of a container group, or of a machine's interface; empty where it has none."""
    if type_of(key) == VIRTUAL_MACHINES:
        found = _interface(world, key)["properties"].get("ipConfigurations") or [{"properties": {}}]
        return str(found[0]["properties"].get("privateIPAddress") or "")
    return str((world.state.resources[key]["properties"].get("ipAddress") or {}).get("ip") or "")


def _interface(world: World, key: str) -> Document:
    used = next(machine_rules.interfaces(world.state.resources[key]), "")
    return world.find(used) or {"properties": {}}


def _subnet(world: World, key: str) -> str:
    """The key of the subnet that something which runs is in; empty where it is in none."""
    if type_of(key) == VIRTUAL_MACHINES:
        return next(machine_rules.subnets(_interface(world, key)), "")
    if type_of(key) in (CONTAINER_APPS, REPLICAS.lower()):
        about = _environment(world, key)["properties"].get("vnetConfiguration") or {}
        found = str(about.get("infrastructureSubnetId") or "").lower()
    else:
        ids = world.state.resources[key]["properties"].get("subnetIds") or ()
        found = next((str(one["id"]).lower() for one in ids), "")
    return found if found in world.state.resources else ""


def _environment(world: World, key: str) -> Document:
    app = key.partition("/revisions/")[0]
    return world.find(app_rules.environment_key(world.state.resources[app])) or {"properties": {}}
