"""How a site's targets reach out, read into Resources: its address, its NAT gateway, its endpoints. And the network
that the user gave it.

What EC2 has deleted it shows for a while: that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted.aws_network import INTERNET, NAT, endpoint_name

Found = Mapping[str, Any]

_GONE = frozenset(("deleting", "deleted", "rejected", "expired"))


def addresses(ec2: Any, ref: SiteRef, mine: list[Any]) -> list[Resource]:
    """The address of the NAT gateway; one that a cut-off run left over is found by its tags as well."""
    base = f"{ref.service}-{ref.site}"
    found = sorted(ec2.describe_addresses(Filters=mine)["Addresses"], key=lambda each: str(each["AllocationId"]))
    names = [base, *(str(each["AllocationId"]) for each in found[1:])]
    return [
        Resource("aws.elastic_ip", name, {"domain": each["Domain"]}, each["AllocationId"], tags_of(each))
        for name, each in zip(names, found, strict=False)
    ]


def nat_gateways(ec2: Any, ref: SiteRef, mine: list[Any]) -> list[Found]:
    found = ec2.describe_nat_gateways(Filter=mine)["NatGateways"]
    standing = [each for each in found if is_ours(each, ref) and str(each["State"]) not in _GONE]
    return sorted(standing, key=lambda each: str(each["NatGatewayId"]))


def nat_resources(
    gateways: list[Found], ref: SiteRef, subnets: Mapping[str, str], held: Iterable[Resource]
) -> list[Resource]:
    """`subnets` and `held` tell the names of subnets and addresses, by id."""
    base, addresses_by_id = f"{ref.service}-{ref.site}", {each.id: each.name for each in held}
    names = [base, *(str(each["NatGatewayId"]) for each in gateways[1:])]
    found = []
    for name, each in zip(names, gateways, strict=False):
        allocation = next((a["AllocationId"] for a in each["NatGatewayAddresses"] if "AllocationId" in a), "")
        properties: dict[str, Value] = {
            "subnet": subnets.get(each["SubnetId"], each["SubnetId"]),
            "address": addresses_by_id.get(allocation, allocation),
            "state": each["State"],
        }
        found.append(Resource("aws.nat_gateway", name, properties, each["NatGatewayId"], tags_of(each)))
    return found


def endpoints(ec2: Any, ref: SiteRef, mine: list[Any]) -> list[Found]:
    found = ec2.describe_vpc_endpoints(Filters=mine)["VpcEndpoints"]
    return [each for each in found if is_ours(each, ref) and str(each["State"]).lower() not in _GONE]


def endpoint(found: Found, ref: SiteRef, names: Mapping[str, str]) -> Resource:
    """`names` tell subnets, groups and tables by id."""
    service = str(found["ServiceName"]).removeprefix(f"com.amazonaws.{ref.region}.")

    def named(ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(names.get(each, each) for each in ids))

    properties: dict[str, Value] = {
        "type": found["VpcEndpointType"],
        "subnets": named(found.get("SubnetIds", ())),
        "security_groups": named(group["GroupId"] for group in found.get("Groups", ())),
        "route_tables": named(found.get("RouteTableIds", ())),
        "private_names": bool(found.get("PrivateDnsEnabled")),
        "state": str(found["State"]).lower(),
    }
    name = endpoint_name(f"{ref.service}-{ref.site}", service)
    return Resource("aws.vpc_endpoint", name, properties, found["VpcEndpointId"], tags_of(found))


def prefix_lists(ec2: Any, region: str) -> Mapping[str, str]:
    """The id of AWS's own list of S3's ranges, by its name; what it is named is the same in every account."""
    asked = {"Name": "prefix-list-name", "Values": [f"com.amazonaws.{region}.s3"]}
    found = ec2.describe_managed_prefix_lists(Filters=[asked])["PrefixLists"]
    return {str(each["PrefixListName"]): str(each["PrefixListId"]) for each in found}


def given(ec2: Any, ref: SiteRef) -> tuple[Resource, ...]:
    """The user's own VPC and subnets, as far as they are there; each subnet with where its default route leads."""
    if not ref.vpc:
        return ()
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": [ref.vpc]}])["Vpcs"]
    inside = [{"Name": "vpc-id", "Values": [ref.vpc]}]
    subnets = ec2.describe_subnets(Filters=[*inside, {"Name": "subnet-id", "Values": list(ref.subnets)}])["Subnets"]
    tables = ec2.describe_route_tables(Filters=inside)["RouteTables"]
    return (
        *(Resource("aws.vpc", each["VpcId"], {"ranges": _ranges(each)}, each["VpcId"]) for each in vpcs),
        *(_given_subnet(each, tables) for each in subnets if each["SubnetId"] in ref.subnets),
    )


def way_of(route: Found) -> str:
    """Where a default route leads; one whose end is gone leads nowhere."""
    if route.get("State", "active") != "active":
        return "nowhere"
    if route.get("NatGatewayId"):
        return NAT
    gateway = str(route.get("GatewayId", ""))
    return INTERNET if gateway.startswith("igw-") else gateway or "something else"


def default_of(table: Found) -> str | None:
    default = next((route for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"), None)
    return way_of(default) if default else None


def is_ours(item: Found, ref: SiteRef) -> bool:
    """Asked again of what EC2 gave for our tags: not every one of its filters is heeded by an emulated EC2."""
    tags = tags_of(item)
    return tags.get(SERVICE_TAG) == ref.service and tags.get(SITE_TAG) == ref.site


def tags_of(item: Found) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", ())}


def _given_subnet(subnet: Found, tables: list[Found]) -> Resource:
    """A subnet that no table names goes by its network's main one."""
    own = [t for t in tables if any(a.get("SubnetId") == subnet["SubnetId"] for a in t["Associations"])]
    main = [t for t in tables if any(a.get("Main") for a in t["Associations"])]
    table = next(iter([*own, *main]), None)
    properties: dict[str, Value] = {
        "cidr": subnet["CidrBlock"],
        "zone": subnet["AvailabilityZone"],
        "default": default_of(table) if table else None,
        "public_addresses": bool(subnet.get("MapPublicIpOnLaunch")),
    }
    return Resource("aws.subnet", subnet["SubnetId"], properties, subnet["SubnetId"])


def _ranges(vpc: Found) -> tuple[str, ...]:
    more = [each["CidrBlock"] for each in vpc.get("CidrBlockAssociationSet", ())]
    return tuple(dict.fromkeys([vpc["CidrBlock"], *more]))
