"""The network of a site in EC2's words, read into Resources: VPC, internet gateway, subnets, routes, firewall."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted.aws import subnet_name

Found = Mapping[str, Any]


def read(ec2: Any, ref: SiteRef, pool: Executor) -> tuple[Resource, ...]:
    """Everything of the site's network that carries its tags. Two rounds: DNS support is asked of the VPC by its id."""
    base = f"{ref.service}-{ref.site}"
    mine = {"Filters": [_tagged(SERVICE_TAG, ref.service), _tagged(SITE_TAG, ref.site)]}
    vpcs = pool.submit(lambda: [_vpc(ec2, vpc) for vpc in ec2.describe_vpcs(**mine)["Vpcs"]])
    gateways = pool.submit(lambda: ec2.describe_internet_gateways(**mine)["InternetGateways"])
    subnets = pool.submit(lambda: ec2.describe_subnets(**mine)["Subnets"])
    tables = pool.submit(lambda: ec2.describe_route_tables(**mine)["RouteTables"])
    groups = pool.submit(lambda: ec2.describe_security_groups(**mine)["SecurityGroups"])
    names = {subnet["SubnetId"]: subnet_name(base, subnet["CidrBlock"]) for subnet in subnets.result()}
    return (
        *_one_is(base, vpcs.result()),
        *_one_is(base, [_gateway(item) for item in gateways.result()]),
        *(_subnet(item, names) for item in subnets.result()),
        *_one_is(base, [_route_table(item, names) for item in tables.result()]),
        *_security_groups(groups.result()),
    )


def zones(ec2: Any) -> tuple[str, ...]:
    """Zones of the region that this account can use, in order of their names."""
    answer = ec2.describe_availability_zones(Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}])
    return tuple(sorted(zone["ZoneName"] for zone in answer["AvailabilityZones"] if zone["State"] == "available"))


def _one_is(base: str, found: list[Resource]) -> list[Resource]:
    """The first is the site's, whatever its Name tag says now; more of a kind are leftovers, named by their ids."""
    ordered = sorted(found, key=lambda resource: resource.id)
    return [replace(ordered[0], name=base), *ordered[1:]] if ordered else []


def _vpc(ec2: Any, vpc: Found) -> Resource:
    answer = ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute="enableDnsSupport")
    dns = bool(answer["EnableDnsSupport"]["Value"])
    return _resource("aws.vpc", vpc, vpc["VpcId"], {"cidr": vpc["CidrBlock"], "dns_support": dns})


def _gateway(gateway: Found) -> Resource:
    networks = tuple(sorted(each["VpcId"] for each in gateway["Attachments"]))
    properties: dict[str, Value] = {"attached": bool(networks)}
    return _resource(
        "aws.internet_gateway", gateway, gateway["InternetGatewayId"], properties, {"vpc_id": "".join(networks[:1])}
    )


def _subnet(subnet: Found, names: Mapping[str, str]) -> Resource:
    properties: dict[str, Value] = {"cidr": subnet["CidrBlock"], "zone": subnet["AvailabilityZone"]}
    details: dict[str, Value] = {"vpc_id": subnet["VpcId"]}
    return Resource("aws.subnet", names[subnet["SubnetId"]], properties, subnet["SubnetId"], _tags(subnet), details)


def _route_table(table: Found, names: Mapping[str, str]) -> Resource:
    """Subnets that we do not know are shown by id; the default route by what it leads to, a lost one as lost."""
    ids = [each["SubnetId"] for each in table["Associations"] if "SubnetId" in each]
    default = next((route for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"), None)
    properties: dict[str, Value] = {
        "default": _way(default) if default else None,
        "subnets": tuple(sorted(names.get(each, each) for each in ids)),
    }
    return _resource("aws.route_table", table, table["RouteTableId"], properties, {"vpc_id": table["VpcId"]})


def _way(route: Found) -> str:
    if route.get("State", "active") != "active":
        return "nowhere"
    gateway = str(route.get("GatewayId", ""))
    return "internet gateway" if gateway.startswith("igw-") else gateway or "something else"


def _security_groups(groups: Iterable[Found]) -> list[Resource]:
    found = list(groups)
    names = {group["GroupId"]: f"group:{group['GroupName']}" for group in found}
    return [_security_group(group, names) for group in found]


def _security_group(group: Found, names: Mapping[str, str]) -> Resource:
    properties: dict[str, Value] = {
        "ingress": _rules(group["IpPermissions"], names),
        "egress": _rules(group["IpPermissionsEgress"], names),
    }
    return _resource("aws.security_group", group, group["GroupId"], properties, {"vpc_id": group["VpcId"]})


def _rules(permissions: Iterable[Found], names: Mapping[str, str]) -> tuple[str, ...]:
    """`tcp 11434 10.0.0.0/16`, one for each range, sorted: how EC2 bundles them means nothing. Of the site's own groups
    the name is told: `tcp 11434 group:llm-east-alb`.
    """
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
    return Resource(kind, str(item.get("GroupName", identity)), properties, identity, _tags(item), details or {})


def _tags(item: Found) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", ())}


def _tagged(key: str, value: str) -> dict[str, Any]:
    return {"Name": f"tag:{key}", "Values": [value]}
