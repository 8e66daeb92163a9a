"""The network of an AWS site in the words of the provider hashicorp/aws.

What a plan compares as a whole (a group's rules, a table's routes) is owned as a whole here too: inline rules and
routes. Descriptions are those that the role `aws_site` gives, for a security group with another one would be made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.pipeline.terraform.hcl import Blocks, Body, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.firewall import Rule, group_rule
from arriero.plan.model import Resource
from arriero.plan.wanted import aws_files
from arriero.plan.wanted import aws_network as network
from arriero.plan.wanted.aws_network import base_name, site_tags


def tags(site: Site, **more: str) -> dict[str, str]:
    return {**site_tags(site.spec), **more}


def ours(site: Site, **body: Expression | Blocks) -> Body:
    """A body whose provider is the site's region's."""
    return {"provider": Raw(f"aws.{site.label}"), **body}


def subnet_id(site: Site, name: str) -> Expression:
    """One in a VPC of the user's own is no resource here: it is named by its id."""
    return name if site.spec.network.vpc else Raw(f"aws_subnet.{_subnet_label(site, name)}.id")


def group_id(site: Site, name: str) -> Raw:
    return Raw(f"aws_security_group.{label_of(site, name)}.id")


def _vpc(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [vpc] = resources
    names: dict[str, Expression | Blocks] = {"enable_dns_hostnames": True} if vpc.properties.get("dns_names") else {}
    body = ours(
        site,
        cidr_block=str(vpc.properties["cidr"]),
        enable_dns_support=bool(vpc.properties["dns_support"]),
        **names,
        tags=tags(site, Name=vpc.name),
    )
    yield Piece("aws_vpc", site.label, body, site.imported(vpc))


def _internet_gateway(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [gateway] = resources
    body = ours(site, vpc_id=vpc_id(site), tags=tags(site, Name=gateway.name))
    yield Piece("aws_internet_gateway", site.label, body, site.imported(gateway))


def _subnets(site: Site, subnets: tuple[Resource, ...]) -> Iterator[Piece]:
    for subnet in subnets:
        body = ours(
            site,
            vpc_id=vpc_id(site),
            cidr_block=str(subnet.properties["cidr"]),
            availability_zone=str(subnet.properties["zone"]),
            tags=tags(site, Name=subnet.name),
            **({"map_public_ip_on_launch": True} if subnet.properties.get("public_addresses") else {}),
        )
        yield Piece("aws_subnet", _subnet_label(site, subnet.name), body, site.imported(subnet))


def _elastic_ips(site: Site, addresses: tuple[Resource, ...]) -> Iterator[Piece]:
    for address in addresses:
        body = ours(site, domain=str(address.properties["domain"]), tags=tags(site))
        yield Piece("aws_eip", site.label, body, site.imported(address))


def _nat_gateways(site: Site, gateways: tuple[Resource, ...]) -> Iterator[Piece]:
    """It is of no use before its subnet leads to the internet, so the provider's guide has it wait for that."""
    for gateway in gateways:
        body = ours(
            site,
            allocation_id=Raw(f"aws_eip.{site.label}.id"),
            subnet_id=subnet_id(site, str(gateway.properties["subnet"])),
            tags=tags(site),
            depends_on=[Raw(f"aws_internet_gateway.{site.label}")],
        )
        yield Piece("aws_nat_gateway", site.label, body, site.imported(gateway))


def _route_tables(site: Site, tables: tuple[Resource, ...]) -> Iterator[Piece]:
    for table in tables:
        yield from _route_table(site, table)


def _route_table(site: Site, table: Resource) -> Iterator[Piece]:
    label, standing = label_of(site, table.name), site.standing(table)
    routes: dict[str | None, Body] = {
        network.INTERNET: {"cidr_block": "0.0.0.0/0", "gateway_id": Raw(f"aws_internet_gateway.{site.label}.id")},
        network.NAT: {"cidr_block": "0.0.0.0/0", "nat_gateway_id": Raw(f"aws_nat_gateway.{site.label}.id")},
    }
    leads = cast("str | None", table.properties["default"])
    way = {"route": Blocks((routes[leads],))} if leads else {}
    body = ours(site, vpc_id=vpc_id(site), tags=tags(site, Name=table.name), **way)
    yield Piece("aws_route_table", label, body, site.imported(table))
    held = cast("tuple[str, ...]", standing.properties["subnets"]) if standing else ()
    for name in cast("tuple[str, ...]", table.properties["subnets"]):
        subnet = site.found.find("aws.subnet", name)
        joined = {"": f"{subnet.id}/{standing.id}"} if standing and subnet and name in held else {}
        association = ours(site, subnet_id=subnet_id(site, name), route_table_id=Raw(f"aws_route_table.{label}.id"))
        yield Piece("aws_route_table_association", _subnet_label(site, name), association, joined)


def _security_groups(site: Site, groups: tuple[Resource, ...]) -> Iterator[Piece]:
    for group in groups:
        rules = {
            direction: [
                group_rule(line, is_inbound=direction == "ingress") for line in cast(Any, group.properties[direction])
            ]
            for direction in ("ingress", "egress")
        }
        body = ours(
            site,
            name=group.name,
            description=_description(site, group.name),
            vpc_id=vpc_id(site),
            tags=tags(site, Name=group.name),
            **{direction: _rule_blocks(site, each) for direction, each in rules.items()},
        )
        yield Piece("aws_security_group", label_of(site, group.name), body, site.imported(group))


def _description(site: Site, group: str) -> str:
    base = base_name(site.spec)
    others = {f"{base}-alb": f"Load balancer of {base}", aws_files.group_name(base): f"Models of {base}"}
    return {**others, **network.descriptions(site.spec)}[group]


def _rule_blocks(site: Site, rules: list[Rule]) -> Blocks:
    """One block for each port with all its peers: how EC2 bundles them means nothing."""
    bundled: dict[tuple[str, int, int], dict[str, list[Expression]]] = {}
    for rule in rules:
        for first, last in rule.ports:
            peers = bundled.setdefault((rule.protocol, first, last), {})
            for peer in rule.peers:
                argument, said = _peer(site, peer)
                peers.setdefault(argument, []).append(said)
    return Blocks(
        tuple(
            {"protocol": protocol, "from_port": first, "to_port": last, **peers}
            for (protocol, first, last), peers in bundled.items()
        )
    )


def _peer(site: Site, peer: str) -> tuple[str, Expression]:
    """The list of S3's ranges has another id in each region, which the endpoint of S3 knows."""
    if "/" in peer:
        return "cidr_blocks", peer
    if peer == network.s3_list(site.spec):
        return "prefix_list_ids", Raw(f"aws_vpc_endpoint.{site.label}_{network.S3}.prefix_list_id")
    return "security_groups", group_id(site, peer.removeprefix("group:"))


def _endpoints(site: Site, endpoints: tuple[Resource, ...]) -> Iterator[Piece]:
    for endpoint in endpoints:
        service, wish = endpoint.name.rpartition(" ")[2], cast("Mapping[str, Any]", endpoint.properties)
        how: Body = {"route_table_ids": [Raw(f"aws_route_table.{site.label}.id")]}
        if wish["type"] == "Interface":
            how = {
                "subnet_ids": [subnet_id(site, name) for name in wish["subnets"]],
                "security_group_ids": [group_id(site, name) for name in wish["security_groups"]],
                "private_dns_enabled": wish["private_names"],
            }
        body = ours(
            site,
            vpc_id=vpc_id(site),
            service_name=f"com.amazonaws.{site.spec.region}.{service}",
            vpc_endpoint_type=wish["type"],
            tags=tags(site),
            **how,
        )
        label = f"{site.label}_{service.replace('.', '_').replace('-', '_')}"
        yield Piece("aws_vpc_endpoint", label, body, site.imported(endpoint))


def vpc_id(site: Site) -> Expression:
    return site.spec.network.vpc or Raw(f"aws_vpc.{site.label}.id")


def _subnet_label(site: Site, name: str) -> str:
    """By its place in the plan: `east_1`, `east_2`."""
    names = [subnet.name for subnet in site.wanted("aws.subnet")]
    return f"{site.label}_{names.index(name) + 1}"


def label_of(site: Site, name: str) -> str:
    """`llm-aws-east-gateway` -> `aws_east_gateway`; what has the site's own name has its label."""
    return f"{site.label}{name.removeprefix(base_name(site.spec)).replace('-', '_')}"


MAKERS: Mapping[str, Maker] = {
    "aws.vpc": _vpc,
    "aws.internet_gateway": _internet_gateway,
    "aws.subnet": _subnets,
    "aws.elastic_ip": _elastic_ips,
    "aws.nat_gateway": _nat_gateways,
    "aws.route_table": _route_tables,
    "aws.security_group": _security_groups,
    "aws.vpc_endpoint": _endpoints,
}
