"""The name by which a site's edges find its targets, read from Cloud Map into a Resource.

Only asked for where the spec names edges, or where the site's security groups tell of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arriero.clouds.aws.clients import Clients
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value
from arriero.plan.wanted import aws_edges, edge_settings

Found = Mapping[str, Any]


def read(made: Clients, ref: SiteRef, network: Iterable[Resource]) -> Resource | None:
    """The private zone that carries the site's tags, with the name in it. Others of that name are other networks'.

    No call is made where neither the spec nor the site's network tells of edges.
    """
    if not (ref.edges or _are_told_of(network, ref)):
        return None
    cloud_map = made.get("servicediscovery", ref.region)
    name = edge_settings.zone(f"{ref.service}-{ref.site}")
    asked = [_filter("TYPE", "DNS_PRIVATE"), _filter("NAME", name)]
    pages = cloud_map.get_paginator("list_namespaces").paginate(Filters=asked)
    for zone in (zone for page in pages for zone in page["Namespaces"]):
        tags = _tags(cloud_map, zone["Arn"])
        if (tags.get(SERVICE_TAG), tags.get(SITE_TAG)) == (ref.service, ref.site):
            return _resource(cloud_map, name, zone, tags)
    return None


def names(found: Resource | None, ref: SiteRef) -> Mapping[str, str]:
    """What the targets' service is written down under, by the ARN by which ECS has it."""
    arn = str(found.details["arn"]) if found else ""
    return {arn: edge_settings.targets_name(f"{ref.service}-{ref.site}")} if arn else {}


def _are_told_of(network: Iterable[Resource], ref: SiteRef) -> bool:
    """Whether the edges' security group stands: it is made before the name, and removed after it."""
    group = aws_edges.name(f"{ref.service}-{ref.site}")
    return any((each.kind, each.name) == ("aws.security_group", group) for each in network)


def _resource(cloud_map: Any, name: str, zone: Found, tags: Mapping[str, str]) -> Resource:
    pages = cloud_map.get_paginator("list_services").paginate(Filters=[_filter("NAMESPACE_ID", zone["Id"])])
    services = [each for page in pages for each in page["Services"]]
    own: Found = next((each for each in services if each["Name"] == aws_edges.TARGETS), {})
    records = (own.get("DnsConfig") or {}).get("DnsRecords") or [{}]
    properties: dict[str, Value] = {"name": own.get("Name"), "ttl_seconds": records[0].get("TTL")}
    details: dict[str, Value] = {
        "arn": own.get("Arn", ""),
        "services": tuple(each["Id"] for each in services),
    }
    return Resource(aws_edges.NAMES, name, properties, zone["Id"], tags, details)


def _filter(name: str, value: str) -> dict[str, Any]:
    return {"Name": name, "Values": [value], "Condition": "EQ"}


def _tags(cloud_map: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in cloud_map.list_tags_for_resource(ResourceARN=arn)["Tags"]}
