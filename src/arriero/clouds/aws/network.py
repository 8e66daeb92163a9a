"""The network of a site in EC2's words, read into Resources: VPC, internet gateway, subnets, routes, firewall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from arriero.clouds.aws import ways_out
from arriero.clouds.aws.ways_out import tags_of
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted.aws_network import peer, subnet_name

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Network:
    """What was read of a site's network: its own things, and what there is besides them."""

    resources: tuple[Resource, ...]
    given: tuple[Resource, ...]
    prefix_lists: Mapping[str, str]

    @property
    def names(self) -> Mapping[str, str]:
        """Of each thing, by its id."""
        return {resource.id: resource.name for resource in (*self.resources, *self.given)}


def read(ec2: Any, ref: SiteRef, pool: Executor) -> Network:
    """Everything of the site's network that carries its tags. Two rounds: DNS support is asked of the VPC by its id."""
    base = f"{ref.service}-{ref.site}"
    filters = [_tagged(SERVICE_TAG, ref.service), _tagged(SITE_TAG, ref.site)]
    mine = {"Filters": filters}
    vpcs = pool.submit(lambda: [_vpc(ec2, vpc) for vpc in ec2.describe_vpcs(**mine)["Vpcs"]])
    gateways = pool.submit(lambda: ec2.describe_internet_gateways(**mine)["InternetGateways"])
    subnets = pool.submit(lambda: ec2.describe_subnets(**mine)["Subnets"])
    tables = pool.submit(lambda: ec2.describe_route_tables(**mine)["RouteTables"])
    groups = pool.submit(lambda: ec2.describe_security_groups(**mine)["SecurityGroups"])
    addresses = pool.submit(ways_out.addresses, ec2, ref, filters)
    nat = pool.submit(ways_out.nat_gateways, ec2, ref, filters)
    endpoints = pool.submit(ways_out.endpoints, ec2, ref, filters)
    lists, given = pool.submit(ways_out.prefix_lists, ec2, ref.region), pool.submit(ways_out.given, ec2, ref)
    names = {subnet["SubnetId"]: subnet_name(base, subnet["CidrBlock"]) for subnet in subnets.result()}
    names |= {group["GroupId"]: group["GroupName"] for group in groups.result()}
    peers = {group["GroupId"]: peer(group["GroupName"]) for group in groups.result()}
    peers |= {identity: name for name, identity in lists.result().items()}
    routes = _tables(base, [_route_table(item, names) for item in tables.result()])
    names |= {table.id: table.name for table in routes}
    found = (
        *_one_is(base, vpcs.result()),
        *_one_is(base, [_gateway(item) for item in gateways.result()]),
        *(_subnet(item, names) for item in subnets.result()),
        *routes,
        *(_security_group(item, peers) for item in groups.result()),
        *addresses.result(),
        *ways_out.nat_resources(nat.result(), ref, names, addresses.result()),
        *(ways_out.endpoint(item, ref, names) for item in endpoints.result()),
    )
    return Network(found, given.result(), lists.result())


def zones(ec2: Any) -> tuple[str, ...]:
    """Zones of the region that this account can use, in order of their names."""
    answer = ec2.describe_availability_zones(Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}])
    return tuple(sorted(zone["ZoneName"] for zone in answer["AvailabilityZones"] if zone["State"] == "available"))


def _one_is(base: str, found: list[Resource]) -> list[Resource]:
    """The first is the site's, whatever its Name tag says now; more of a kind are leftovers, named by their ids."""
    ordered = sorted(found, key=lambda resource: resource.id)
    return [replace(ordered[0], name=base), *ordered[1:]] if ordered else []


def _tables(base: str, found: list[Resource]) -> list[Resource]:
    """The site's tables: the edge's is known by its Name tag, for nothing else tells it from the targets' own."""
    edge = [table for table in found if table.tags.get("Name") == f"{base}-edge"]
    rest = [table for table in found if table not in edge]
    return [*_one_is(f"{base}-edge", edge), *_one_is(base, rest)]


def _vpc(ec2: Any, vpc: Found) -> Resource:
    support, names = (
        bool(ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute=f"{name[0].lower()}{name[1:]}")[name]["Value"])
        for name in ("EnableDnsSupport", "EnableDnsHostnames")
    )
    properties: dict[str, Value] = {"cidr": vpc["CidrBlock"], "dns_support": support, "dns_names": names}
    return _resource("aws.vpc", vpc, vpc["VpcId"], properties)


def _gateway(gateway: Found) -> Resource:
    networks = tuple(sorted(each["VpcId"] for each in gateway["Attachments"]))
    properties: dict[str, Value] = {"attached": bool(networks)}
    return _resource(
        "aws.internet_gateway", gateway, gateway["InternetGatewayId"], properties, {"vpc_id": "".join(networks[:1])}
    )


def _subnet(subnet: Found, names: Mapping[str, str]) -> Resource:
    properties: dict[str, Value] = {
        "cidr": subnet["CidrBlock"],
        "zone": subnet["AvailabilityZone"],
        "public_addresses": bool(subnet.get("MapPublicIpOnLaunch")),
    }
    details: dict[str, Value] = {"vpc_id": subnet["VpcId"]}
    return Resource("aws.subnet", names[subnet["SubnetId"]], properties, subnet["SubnetId"], tags_of(subnet), details)


def _route_table(table: Found, names: Mapping[str, str]) -> Resource:
    """Subnets that we do not know are shown by id; the default route by what it leads to, a lost one as lost."""
    ids = [each["SubnetId"] for each in table["Associations"] if "SubnetId" in each]
    properties: dict[str, Value] = {
        "default": ways_out.default_of(table),
        "subnets": tuple(sorted(names.get(each, each) for each in ids)),
    }
    return _resource("aws.route_table", table, table["RouteTableId"], properties, {"vpc_id": table["VpcId"]})


def _security_group(group: Found, names: Mapping[str, str]) -> Resource:
    """`names` tell the site's own groups and AWS's lists, by id."""
    properties: dict[str, Value] = {
        "ingress": _rules(group["IpPermissions"], names),
        "egress": _rules(group["IpPermissionsEgress"], names),
    }
    return _resource("aws.security_group", group, group["GroupId"], properties, {"vpc_id": group["VpcId"]})


def _rules(permissions: Iterable[Found], names: Mapping[str, str]) -> tuple[str, ...]:
    """`tcp 11434 10.0.0.0/16`, one for each range, sorted: how EC2 bundles them means nothing."""
    return tuple(sorted(rule for permission in permissions for rule in _each_rule(permission, names)))


def _each_rule(permission: Found, names: Mapping[str, str]) -> Iterator[str]:
    protocol = {"-1": "all"}.get(permission["IpProtocol"], permission["IpProtocol"])
    first, last = permission.get("FromPort"), permission.get("ToPort")
    ports = "" if first in (None, -1) else f" {first}" if first == last else f" {first}-{last}"
    for key, field in (
        ("IpRanges", "CidrIp"),
        ("Ipv6Ranges", "CidrIpv6"),
        ("UserIdGroupPairs", "GroupId"),
        ("PrefixListIds", "PrefixListId"),
    ):
        for each in permission.get(key, ()):
            yield f"{protocol}{ports} {names.get(each[field], each[field])}"


def _resource(
    kind: str, item: Found, identity: str, properties: Mapping[str, Value], details: Mapping[str, Value] | None = None
) -> Resource:
    return Resource(kind, str(item.get("GroupName", identity)), properties, identity, tags_of(item), details or {})


def _tagged(key: str, value: str) -> dict[str, Any]:
    return {"Name": f"tag:{key}", "Values": [value]}
