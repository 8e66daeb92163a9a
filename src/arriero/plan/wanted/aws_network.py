"""The network of one site at AWS: ranges, routes and security groups.

A public site's tasks have public addresses, which are their way out, in two subnets that lead to the internet. A
private site's have none. Its way out is a NAT gateway, in a subnet of the edge, or endpoints of AWS's services inside
the network, which then has no way to the internet at all. Who may reach its port 11434 carries the security group
`<site>-gateway`, as a load balancer or a gateway there does, or is named by `allow_from`. In a VPC of the user's own
the security groups are all that is made.

DNS needs no rule: security groups do not filter traffic to Amazon's resolver, link-local metadata or the task's
credentials (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html), so 443 is all that leaves, and
the registry's port where the image names another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, ip_network
from typing import cast

from arriero.cost import way_out
from arriero.cost.way_out import WayOut
from arriero.errors import Problem, Refused
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.plan.wanted import aws_alb, aws_edges, aws_gpu, storage
from arriero.plan.wanted.aws_files import NFS
from arriero.plan.wanted.aws_task import PORT
from arriero.spec.model import ResolvedSite

INTERNET, NAT = "internet gateway", "nat gateway"
HTTPS = 443
S3 = "s3"


def wanted(site: ResolvedSite, found: SiteFacts) -> tuple[Resource, ...]:
    """Raises Refused where the network that stands can never become the one that is asked for."""
    if site.network.vpc:
        _refuse_a_foreign_network(site, found)
        return _groups(site, found)
    _refuse_another_range(site, found)
    return (*_around(site, found), *_groups(site, found), *_endpoints(site, found))


def notes(site: ResolvedSite) -> list[str]:
    if not site.network.is_private or site.network.vpc:
        return []
    return [f"network.way_out: {way_out.sentence(site, way_out.cheapest(site))}"]


def base_name(site: ResolvedSite) -> str:
    return f"{site.service}-{site.name}"


def edge_name(site: ResolvedSite) -> str:
    """The route table of the subnets that lead to the internet, where targets have none of their own."""
    return f"{base_name(site)}-edge"


def gateway_group(site: ResolvedSite) -> str:
    """The security group that whoever may reach private targets carries."""
    return f"{base_name(site)}-gateway"


def peer(group: str) -> str:
    """How a rule names another group of the site: its id is known to AWS alone."""
    return f"group:{group}"


def endpoint_group(site: ResolvedSite) -> str:
    return f"{base_name(site)}-endpoints"


def site_tags(site: ResolvedSite) -> dict[str, str]:
    return {SERVICE_TAG: site.service, SITE_TAG: site.name}


def way(site: ResolvedSite, found: SiteFacts) -> WayOut | None:
    """The way out of private targets, None where theirs is another. One that stands is not left for a cheaper one."""
    if not site.network.is_private or site.network.vpc:
        return None
    if site.network.way_out == "cheapest":
        standing: Mapping[WayOut, str] = {"nat": "aws.nat_gateway", "endpoints": "aws.vpc_endpoint"}
        there = [each for each in way_out.choices(site) if found.find(standing[each])]
        if there:
            return there[0]
    return way_out.cheapest(site)


def has_edge(site: ResolvedSite, found: SiteFacts) -> bool:
    """Whether subnets stand beside the targets' own that lead to the internet: for a NAT gateway, for a load balancer
    that the internet reaches.
    """
    is_faced = site.alb is not None and site.alb.scheme == "internet-facing"
    return way(site, found) == "nat" or (way(site, found) == "endpoints" and is_faced)


def gives_addresses(site: ResolvedSite) -> bool:
    """Whether its subnets give new machines public addresses: those that ECS keeps get one no other way."""
    return site.gpu is not None and site.gpu.is_managed and not site.network.is_private


def has_names(site: ResolvedSite, found: SiteFacts) -> bool:
    """Whether the network gives names: private ones, of endpoints and of targets, are answered only there."""
    return way(site, found) == "endpoints" or site.edges is not None


def balancer_subnets(site: ResolvedSite, found: SiteFacts) -> tuple[str, ...]:
    """The names of the subnets that a load balancer stands in."""
    is_faced = site.alb is not None and site.alb.scheme == "internet-facing"
    return edge_names(site) if is_faced and has_edge(site, found) else tuple(target_subnets(site, found))


def subnet_ranges(cidr: str) -> tuple[str, str]:
    """Two ranges at the start of the network, a sixteenth of it each, or what is left above AWS's least (/28)."""
    first, second = _sixteenths(cidr)[:2]
    return first, second


def edge_ranges(cidr: str) -> tuple[str, str]:
    """The two after those of the targets."""
    first, second = _sixteenths(cidr)[2:4]
    return first, second


def zones(site: ResolvedSite, found: SiteFacts) -> tuple[str, str]:
    """Subnets that stand keep their zones; new ones take zones that the account has, else `a` and `b`."""
    usable = found.zones or tuple(f"{site.region}{letter}" for letter in "ab")
    names = subnet_names(site)
    standing = [found.find("aws.subnet", name) for name in names]
    kept = [str(subnet.properties["zone"]) if subnet else "" for subnet in standing]
    free = [zone for zone in usable if zone not in kept]
    first, second = (zone or (free.pop(0) if free else usable[0]) for zone in kept)
    return first, second


def subnet_names(site: ResolvedSite) -> tuple[str, str]:
    """Named by their ranges, which nobody can change, and not by a tag, which anybody can."""
    first, second = subnet_ranges(site.network.cidr)
    return subnet_name(base_name(site), first), subnet_name(base_name(site), second)


def edge_names(site: ResolvedSite) -> tuple[str, str]:
    first, second = edge_ranges(site.network.cidr)
    return subnet_name(base_name(site), first), subnet_name(base_name(site), second)


def subnet_name(base: str, cidr: str) -> str:
    return f"{base} {cidr}"


def target_subnets(site: ResolvedSite, found: SiteFacts) -> Mapping[str, str]:
    """The range of each subnet that targets stand in, by name; by id in a VPC of the user's own."""
    if not site.network.vpc:
        return dict(zip(subnet_names(site), subnet_ranges(site.network.cidr), strict=True))
    ranges = {each.name: str(each.properties["cidr"]) for each in found.given if each.kind == "aws.subnet"}
    return {name: ranges.get(name, site.network.cidr) for name in site.network.subnets}


def ingress_sources(site: ResolvedSite) -> tuple[str, ...]:
    """The ranges that may reach port 11434 of a target: behind a load balancer only those that the spec names."""
    own = () if site.network.is_private or site.alb else (site.network.cidr,)
    return tuple(sorted({*own, *(str(ip_network(source)) for source in site.network.allow_from)}))


def egress_ports(site: ResolvedSite) -> tuple[int, ...]:
    """443, and the port that the image's registry is written with: `registry.example.com:5000/acme/llm`."""
    host, slash, _ = site.image.partition("/")
    _, _, port = host.rpartition(":")
    return tuple(sorted({HTTPS, int(port)})) if slash and port.isdecimal() else (HTTPS,)


def s3_list(site: ResolvedSite) -> str:
    """The name of AWS's own list of S3's ranges in the region."""
    return f"com.amazonaws.{site.region}.{S3}"


def group_rules(site: ResolvedSite, found: SiteFacts) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """By the name of each security group, what it lets in and out. Those that others refer to come first."""
    base, subnets = base_name(site), target_subnets(site, found)
    sources, out = list(ingress_sources(site)), way(site, found)
    sources += [peer(aws_edges.name(base))] if site.edges else []
    sources += [peer(aws_alb.group_name(base))] if aws_alb.leads_to_targets(site) else []
    groups: dict[str, Mapping[str, tuple[str, ...]]] = {}
    if site.network.is_private:
        sources.append(peer(gateway_group(site)))
        groups[gateway_group(site)] = {"ingress": (), "egress": _lines(PORT, subnets.values())}
    if out == "endpoints":
        groups[endpoint_group(site)] = {"ingress": _lines(HTTPS, subnets.values()), "egress": ()}
        ways_out = [*_lines(HTTPS, (peer(endpoint_group(site)), s3_list(site)))]
    else:
        ways_out = [line for port in egress_ports(site) for line in _lines(port, ("0.0.0.0/0",))]
    if site.edges:
        behind = _lines(PORT, (peer(aws_alb.group_name(base)),))
        groups[aws_edges.name(base)] = {
            "ingress": behind,
            "egress": tuple(sorted([*ways_out, *_lines(PORT, subnets.values())])),
        }
    if site.gpu:
        groups[aws_gpu.group_name(base)] = {"ingress": (), "egress": tuple(sorted(ways_out))}
    if storage.is_used(site):
        ways_out += _lines(NFS, subnets.values())
    groups[base] = {"ingress": _lines(PORT, sources), "egress": tuple(sorted(ways_out))}
    return groups


def descriptions(site: ResolvedSite) -> Mapping[str, str]:
    """Of the security groups, by name: EC2 can't change them."""
    base = base_name(site)
    return {
        base: f"Ollama targets of {base}",
        gateway_group(site): f"Who may reach the Ollama targets of {base}",
        aws_gpu.group_name(base): f"Machines of the Ollama targets of {base}",
        aws_edges.name(base): f"Edges before the Ollama targets of {base}",
        endpoint_group(site): f"Endpoints for the Ollama targets of {base}",
    }


def _sixteenths(cidr: str) -> list[str]:
    network = IPv4Network(cidr)
    parts = network.subnets(new_prefix=max(network.prefixlen + 1, min(network.prefixlen + 4, 28)))
    return [str(part) for part in parts]


def _lines(port: int, peers: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(f"tcp {port} {peer}" for peer in peers))


def _around(site: ResolvedSite, found: SiteFacts) -> tuple[Resource, ...]:
    """What targets stand in, but for the security groups."""
    base, tags, names, out = base_name(site), site_tags(site), subnet_names(site), way(site, found)
    edges = edge_names(site) if has_edge(site, found) else ()
    ranges = (*subnet_ranges(site.network.cidr), *(edge_ranges(site.network.cidr) if edges else ()))
    rows = zip((*names, *edges), ranges, zones(site, found) * 2, strict=False)
    more: dict[str, Value] = {"public_addresses": True} if gives_addresses(site) else {}
    subnets = (
        Resource("aws.subnet", name, {"cidr": cidr, "zone": zone, **more}, tags=tags) for name, cidr, zone in rows
    )
    network: dict[str, Value] = {"cidr": site.network.cidr, "dns_support": True}
    network |= {"dns_names": True} if has_names(site, found) else {}
    made = [Resource("aws.vpc", base, network, tags=tags)]
    if out != "endpoints" or edges:
        made.append(Resource("aws.internet_gateway", base, {"attached": True}, tags=tags))
    made += subnets
    if edges:
        made.append(_table(edge_name(site), INTERNET, edges, tags))
    if out == "nat":
        made.append(Resource("aws.elastic_ip", base, {"domain": "vpc"}, tags=tags))
        standing = {"subnet": edge_names(site)[0], "address": base, "state": "available"}
        made.append(Resource("aws.nat_gateway", base, standing, tags=tags))
    leads = {None: INTERNET, "nat": NAT, "endpoints": None}[out]
    return (*made, _table(base, leads, names, tags))


def _table(name: str, default: str | None, subnets: tuple[str, ...], tags: Mapping[str, str]) -> Resource:
    return Resource("aws.route_table", name, {"default": default, "subnets": tuple(sorted(subnets))}, tags=tags)


def _groups(site: ResolvedSite, found: SiteFacts) -> tuple[Resource, ...]:
    rules, tags = group_rules(site, found), site_tags(site)
    return tuple(Resource("aws.security_group", name, {**each}, tags=tags) for name, each in rules.items())


def _endpoints(site: ResolvedSite, found: SiteFacts) -> tuple[Resource, ...]:
    if way(site, found) != "endpoints":
        return ()
    base, tags = base_name(site), site_tags(site)
    inside: Mapping[str, Value] = {
        "type": "Interface",
        "subnets": tuple(sorted(subnet_names(site))),
        "security_groups": (endpoint_group(site),),
        "private_names": True,
        "state": "available",
    }
    gateway: Mapping[str, Value] = {"type": "Gateway", "route_tables": (base,), "state": "available"}
    named = {**dict.fromkeys(way_out.interfaces(site), inside), S3: gateway}
    return tuple(Resource("aws.vpc_endpoint", endpoint_name(base, end), each, tags=tags) for end, each in named.items())


def endpoint_name(base: str, service: str) -> str:
    """Named by the service that it leads to, which nobody can change."""
    return f"{base} {service}"


def _refuse_another_range(site: ResolvedSite, found: SiteFacts) -> None:
    vpc = found.find("aws.vpc")
    if vpc is None or vpc.properties["cidr"] == site.network.cidr:
        return
    raise Refused(
        Problem(
            f"the site stands in the network {vpc.properties['cidr']}, which can't become {site.network.cidr}",
            "put the range back; or name the site anew, `arriero up`, and take the old one down",
            key=f"sites.{site.name}.network.cidr",
        )
    )


def _refuse_a_foreign_network(site: ResolvedSite, found: SiteFacts) -> None:
    """The user's own VPC must be there, with the range that the spec says, and lead where targets need to go."""
    key, network = f"sites.{site.name}.network", site.network
    vpc = next((each for each in found.given if each.kind == "aws.vpc"), None)
    if found.find("aws.vpc"):
        what = "the site stands in a network that arriero made, and can't move into yours"
        raise Refused(Problem(what, "name the site anew, `arriero up`, and take the old one down", key=f"{key}.vpc"))
    if vpc is None:
        what = f"there is no {network.vpc} in {site.region}"
        raise Refused(Problem(what, "correct the id, or log in to its account", key=f"{key}.vpc"))
    ranges = cast("tuple[str, ...]", vpc.properties["ranges"])
    if network.cidr not in ranges:
        what = f"{network.vpc} has {', '.join(ranges)}, and the spec says {network.cidr}"
        raise Refused(Problem(what, "write the VPC's own range", key=f"{key}.cidr"))
    subnets = {each.name: each for each in found.given if each.kind == "aws.subnet"}
    for name in network.subnets:
        _refuse_a_foreign_subnet(site, subnets.get(name), name)


def _refuse_a_foreign_subnet(site: ResolvedSite, subnet: Resource | None, name: str) -> None:
    key, network = f"sites.{site.name}.network.subnets", site.network
    if subnet is None:
        raise Refused(Problem(f"{network.vpc} has no {name}", "correct the id", key=key))
    leads = subnet.properties["default"]
    if network.is_private and leads == INTERNET:
        what = f"{name} leads to an internet gateway, and targets without public addresses get out through none"
        raise Refused(Problem(what, "name private subnets, or write mode: public", key=key))
    if not network.is_private and leads != INTERNET:
        what = f"{name} leads to {leads or 'nowhere outside'}, and public addresses need an internet gateway"
        raise Refused(Problem(what, "name public subnets, or write mode: private", key=key))
    if gives_addresses(site) and not subnet.properties["public_addresses"]:
        what = f"{name} gives new machines no public address, without which managed ones reach nothing outside"
        remedy = "have it assign public IPv4 addresses, or name private subnets and write mode: private"
        raise Refused(Problem(what, remedy, key=key))
