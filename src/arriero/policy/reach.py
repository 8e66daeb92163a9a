"""Who may reach which port of a site's targets, through what: from the facts, and not from the wish.

A way in at AWS: a rule of the security group that the service's tasks have. From the internet only if they have public
addresses and their subnets a route from there; from another private range only where something joins the networks. A
rule that names the load balancer's group leads on to the rules of that group, as far as the load balancer listens. At
Azure: the NSG of the subnet, its rules in the order of their priority; a container group has a private address or a
public one. The storage of its models is told, too: whether public networks get there, and from where a private endpoint
leads to it. At a local site: the address it listens on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any, cast

from arriero.plan.firewall import ALL_PORTS, Rule, group_rule, is_open_range, nsg_rule
from arriero.plan.model import Resource, SiteFacts
from arriero.plan.wanted import azure_edges, sidecar
from arriero.policy.reach_balancer import leads_outside, through_balancer
from arriero.policy.way import Way
from arriero.spec.values import PRIVATE

JOINED = "a peering or a VPN, which is not read"


def ways(found: SiteFacts) -> tuple[Way, ...]:
    """Every way into the site's targets; none where nothing stands or it could not be read."""
    readers = {"aws": _aws, "azure": _azure, "local": _local}
    return tuple(readers[found.cloud](found))


def _aws(found: SiteFacts) -> Iterator[Way]:
    """Groups are found by the services' own networks (two during a trial): one that no task has opens nothing."""
    services = [r for r in found.resources if r.kind == "aws.service"]
    ranges = _ranges(found)
    if not services or not ranges:
        return
    networks = [cast("Mapping[str, Any]", service.properties["network"]) for service in services]
    used = dict.fromkeys(name for network in networks for name in network["security_groups"])
    is_public = any(network["public_ip"] and leads_outside(found, network["subnets"]) for network in networks)
    for group in (r for r in found.resources if r.kind == "aws.security_group"):
        if group.name in used or group.id in used:
            for line in cast("tuple[str, ...]", group.properties["ingress"]):
                before = through_balancer(found, line) if " group:" in line else None
                yield from _through_group(found, group, line, ranges, is_public) if before is None else before
    for stranger in (name for name in used if not _is_known(found, name)):
        yield Way(
            found.site, "whoever it lets in", "its ports", (f"security group {stranger}, which is not the site's",)
        )


def _ranges(found: SiteFacts) -> tuple[str, ...]:
    """Of the network that targets stand in: the site's own, or the user's."""
    if vpc := found.find("aws.vpc"):
        return (str(vpc.properties["cidr"]),)
    given = next((each for each in found.given if each.kind == "aws.vpc"), None)
    return cast("tuple[str, ...]", given.properties["ranges"]) if given else ()


def _is_known(found: SiteFacts, name: str) -> bool:
    return any(r.kind == "aws.security_group" and name in (r.name, r.id) for r in found.resources)


def _through_group(
    found: SiteFacts, group: Resource, line: str, ranges: tuple[str, ...], is_public: bool
) -> Iterator[Way]:
    rule, site = group_rule(line, is_inbound=True), found.site
    ways_in = (f"security group {group.name} ({line})",)
    for peer in rule.peers:
        if _is_group(peer):
            carried = peer.removeprefix("group:")
            yield Way(site, f"what carries security group {carried} in {', '.join(ranges)}", _ports(rule), ways_in)
        elif any(_is_inside(peer, each) for each in ranges):
            yield Way(site, _who(peer), _ports(rule), ways_in)
        elif is_public:
            yield Way(site, _who(peer), _ports(rule), ("the internet gateway", "the tasks' public addresses", *ways_in))
        elif is_open_range(peer):
            yield from _from_inside(site, ", ".join(ranges), _ports(rule), ways_in)
        elif _is_joinable(peer):
            yield Way(site, _who(peer), _ports(rule), (JOINED, *ways_in))


def _from_inside(site: str, ranges: str, ports: str, through: tuple[str, ...]) -> Iterator[Way]:
    """What is open to everybody is open to who can get there: the network itself, and what is joined to it."""
    yield Way(site, f"the site's own network {ranges}", ports, through)
    yield Way(site, "every network that is joined to it", ports, (JOINED, *through))


def _is_group(peer: str) -> bool:
    return peer.startswith(("sg-", "group:"))


def _is_joinable(peer: str) -> bool:
    """A private range: networks of such ranges are joined by peerings and VPNs, without the internet."""
    try:
        network = ip_network(peer, strict=False)
    except ValueError:
        return False
    return isinstance(network, IPv4Network) and any(network.subnet_of(each) for each in PRIVATE)


def _azure(found: SiteFacts) -> Iterator[Way]:
    yield from _azure_edges(found)
    yield from _azure_targets(found)
    yield from _azure_storage(found)


def _azure_edges(found: SiteFacts) -> Iterator[Way]:
    """Who reaches external ingress: everybody, if it has no rules. Edges ask for keys; where they answer a Front Door
    alone, they say so.
    """
    app = found.find(azure_edges.APP_KIND)
    if app is None or not cast("Mapping[str, Any]", app.properties["ingress"])["external"]:
        return
    settings = cast("Mapping[str, Any]", app.properties["settings"])
    if settings.get("front_door_id") == azure_edges.NO_DOOR:
        return  # they answer nobody
    door = f" and for X-Azure-FDID {settings['front_door_id']}" if settings.get("front_door_id") else ""
    edges = f"the edges {app.name}, which ask for keys{door}"
    through = (edges, f"to port {sidecar.PORT} of the targets")
    for who in _who_reaches_edges(cast("tuple[str, ...]", app.properties["clients"])):
        yield Way(found.site, who, "port 443 of its edges", through)


def _who_reaches_edges(clients: tuple[str, ...]) -> tuple[str, ...]:
    denied = [each.removeprefix(azure_edges.DENIED) for each in clients if each.startswith(azure_edges.DENIED)]
    if denied:  # then none is allowed by name
        return (f"everybody but {', '.join(denied)}",)
    return clients or ("everybody",)


def _azure_storage(found: SiteFacts) -> Iterator[Way]:
    """Azure Files asks everybody for a key of the account."""
    account, network = found.find("azure.storage_account"), found.find("azure.virtual_network")
    if account is None:
        return
    if account.properties["public_access"]:
        yield Way(found.site, "everybody with its key", "the storage of models", ("the account's public address",))
    for endpoint in (r for r in found.resources if r.kind == "azure.private_endpoint"):
        cidr = ", ".join(cast("tuple[str, ...]", network.properties["address_prefixes"])) if network else ""
        if endpoint.properties["target"] == account.name and endpoint.properties["connection"] == "approved":
            yield from _from_inside(found.site, cidr, "the storage of models", (f"private endpoint {endpoint.name}",))


def _azure_targets(found: SiteFacts) -> Iterator[Way]:
    kinds = ("azure.container_group", "azure.container_app", "azure.virtual_machine")
    groups = [r for r in found.resources if r.kind in kinds]
    around = found.find("azure.app_environment")
    if around is not None and not around.properties["is_internal"]:
        yield Way(found.site, "everybody", "its ports", (f"the public address of the environment {around.name}",))
    network, guard = found.find("azure.virtual_network"), found.find("azure.network_security_group")
    if public := [group.name for group in groups if _is_public(group)]:
        names = ", ".join(public)
        yield Way(found.site, "everybody", "its ports", (f"the public address of {names}",))
    if not groups or network is None:
        return
    cidr = ", ".join(cast("tuple[str, ...]", network.properties["address_prefixes"]))
    subnet = cast("Mapping[str, Any]", network.properties["subnet"] or {})
    if guard is None or subnet.get("security_group") != guard.name:
        yield from _from_inside(found.site, cidr, "every port", ("a subnet without a security group",))
        return
    yield from _through_nsg(found.site, guard, cidr)


def _is_public(target: Resource) -> bool:
    """A container group says so itself, a virtual machine by its interface."""
    interface = target.properties.get("network")
    has_address = isinstance(interface, Mapping) and bool(interface.get("is_public"))
    return has_address or target.properties.get("address") == "public"


def _through_nsg(site: str, guard: Resource, cidr: str) -> Iterator[Way]:
    """Rules by priority: what an earlier one denies to everybody, a later one opens no more."""
    rules = cast("Mapping[str, str]", guard.properties["rules"])
    ordered = sorted(((nsg_rule(line), name) for name, line in rules.items()), key=lambda pair: pair[0].priority)
    denied: list[Rule] = []
    for rule, name in ordered:
        if not rule.is_inbound or any(_covers(earlier, rule) for earlier in denied):
            continue
        if not rule.is_allowed:
            denied.append(rule)
            continue
        for peer in rule.peers:
            # Nothing leads to a private address from the internet, whatever a rule says.
            through = (f"network security group {guard.name} (rule {name})",)
            if is_open_range(peer):
                yield from _from_inside(site, cidr, _ports(rule), through)
            else:
                yield Way(site, _who(peer), _ports(rule), through)
    if not any(_denies_all(rule) for rule in denied):
        default = f"network security group {guard.name} (Azure's own rule AllowVnetInBound)"
        yield from _from_inside(site, cidr, "every port", (default,))


def _covers(earlier: Rule, later: Rule) -> bool:
    spans = all(any(a <= first and last <= b for a, b in earlier.ports) for first, last in later.ports)
    peers = any(is_open_range(peer) for peer in earlier.peers) or set(later.peers) <= set(earlier.peers)
    return spans and peers and earlier.protocol in ("*", later.protocol)


def _denies_all(rule: Rule) -> bool:
    return rule.protocol == "*" and ALL_PORTS in rule.ports and any(map(is_open_range, rule.peers))


def _local(found: SiteFacts) -> Iterator[Way]:
    for target in found.targets:
        host, _, port = target.address.rpartition(":")
        if host:
            who = "this machine's programs" if host.startswith("127.") else f"whoever reaches {host}"
            yield Way(found.site, who, f"port {port}", (f"the address {host}",))


def _is_inside(peer: str, cidr: str) -> bool:
    try:
        network = ip_network(peer, strict=False)
    except ValueError:
        return True  # another group or a prefix list of the same network
    return isinstance(network, IPv4Network) and network.subnet_of(IPv4Network(cidr))


def _who(peer: str) -> str:
    return "everybody" if is_open_range(peer) else peer


def _ports(rule: Rule) -> str:
    return "every port" if ALL_PORTS in rule.ports else "port " + ", ".join(_spans(rule.ports))


def _spans(ports: Iterable[tuple[int, int]]) -> list[str]:
    return [str(first) if first == last else f"{first}-{last}" for first, last in ports]
