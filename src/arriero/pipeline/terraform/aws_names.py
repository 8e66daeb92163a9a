"""The name by which a site's edges find its targets, in the words of the provider hashicorp/aws: its zone, and itself.

As the module `private_name` makes them, for another routing policy or health check would be another name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from arriero.pipeline.terraform import aws_network
from arriero.pipeline.terraform.aws_network import ours, tags
from arriero.pipeline.terraform.hcl import Blocks, Body, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import aws_edges

ZONE, NAME = "aws_service_discovery_private_dns_namespace", "aws_service_discovery_service"


def registered(site: Site, service: Mapping[str, Any]) -> dict[str, Expression | Blocks]:
    """What the targets' service says of the name that ECS writes its tasks down under; nothing without one."""
    rows = tuple({"registry_arn": Raw(f"{NAME}.{site.label}.arn")} for _ in service.get("registries", ()))
    return {"service_registries": Blocks(rows)} if rows else {}


def _names(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for zone in resources:
        standing, network = site.standing(zone), site.found.find("aws.vpc")
        body = ours(site, name=zone.name, vpc=aws_network.vpc_id(site), tags=tags(site))
        there = {"": f"{standing.id}:{network.id}"} if standing and network else {}
        yield Piece(ZONE, site.label, body, there)
        arn = str(standing.details["arn"]) if standing else ""
        yield Piece(NAME, site.label, _name(site, zone.properties), {"": arn.rpartition("/")[2]} if arn else {})


def _name(site: Site, wish: Mapping[str, Any]) -> Body:
    """`force_destroy`, for the name can't go before all that is written down under it, and ECS takes its time."""
    records: Body = {"ttl": wish["ttl_seconds"], "type": "A"}
    config: Body = {
        "namespace_id": Raw(f"{ZONE}.{site.label}.id"),
        "routing_policy": "MULTIVALUE",
        "dns_records": Blocks((records,)),
    }
    return ours(
        site,
        name=wish["name"],
        force_destroy=True,
        tags=tags(site),
        dns_config=Blocks((config,)),
        health_check_custom_config=Blocks(({"failure_threshold": 1},)),
    )


MAKERS: Mapping[str, Maker] = {aws_edges.NAMES: _names}
