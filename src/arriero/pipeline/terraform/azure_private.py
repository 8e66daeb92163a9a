"""An Azure site's private endpoints for Terraform, with their subnet, their DNS zones and the zones' links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from arriero.pipeline.terraform import azapi
from arriero.pipeline.terraform.hcl import Blocks, Body, Raw, identifier
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_private as wish

ZONE_GROUP = "default"  # as the role names it
_ZONES = {wish.FILES_ZONE: "files", wish.VAULT_ZONE: "vaults", wish.REGISTRY_ZONE: "registry"}


def _subnet(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for subnet in resources:
        body: Body = {
            "name": subnet.name,
            "resource_group_name": Raw(f"azurerm_resource_group.{site.label}.name"),
            "virtual_network_name": Raw(f"azurerm_virtual_network.{site.label}.name"),
            "address_prefixes": [str(subnet.properties["prefix"])],
            "private_endpoint_network_policies": "Disabled",
        }
        yield Piece("azurerm_subnet", f"{site.label}_endpoints", body, site.imported(subnet))


def zone(site: Site, wanted: Resource, label: str) -> Iterator[Piece]:
    """A zone of the site's, and its link to the network."""
    group, standing = Raw(f"azurerm_resource_group.{site.label}.name"), site.standing(wanted)
    whole: Body = {"name": wanted.name, "resource_group_name": group, "tags": site.tags}
    yield Piece("azurerm_private_dns_zone", label, whole, site.imported(wanted))
    for network in cast("tuple[str, ...]", wanted.properties["networks"]):
        is_linked = standing is not None and network in cast("tuple[str, ...]", standing.properties["networks"])
        there = {"": f"{standing.id}/virtualNetworkLinks/{network}"} if standing and is_linked else {}
        link: Body = {
            "name": network,
            "resource_group_name": group,
            "private_dns_zone_name": Raw(f"azurerm_private_dns_zone.{label}.name"),
            "virtual_network_id": Raw(f"azurerm_virtual_network.{site.label}.id"),
            "registration_enabled": False,
            "tags": site.tags,
        }
        yield Piece("azurerm_private_dns_zone_virtual_network_link", label, link, there)


def _zones(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for wanted in resources:
        yield from zone(site, wanted, f"{site.label}_{_ZONES[wanted.name]}")


def _endpoint(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    group = f"azurerm_resource_group.{site.label}"
    base = f"{site.spec.service}-{site.spec.name}-"
    for endpoint in resources:
        connection: Body = {
            "name": endpoint.name,
            "private_connection_resource_id": _target(site, endpoint),
            "subresource_names": [str(endpoint.properties["part"])],
            "is_manual_connection": False,
        }
        zones = cast("tuple[str, ...]", endpoint.properties["zones"])
        ids = [Raw(f"azurerm_private_dns_zone.{site.label}_{_ZONES[each]}.id") for each in zones]
        body: Body = {
            "name": endpoint.name,
            "resource_group_name": Raw(f"{group}.name"),
            "location": Raw(f"{group}.location"),
            "subnet_id": Raw(f"azurerm_subnet.{site.label}_endpoints.id"),
            "tags": site.tags,
            "private_service_connection": Blocks((connection,)),
            "private_dns_zone_group": Blocks(({"name": ZONE_GROUP, "private_dns_zone_ids": ids},)),
        }
        label = f"{site.label}_{identifier(endpoint.name.removeprefix(base))}"
        yield Piece("azurerm_private_endpoint", label, body, site.imported(endpoint))


def _target(site: Site, endpoint: Resource) -> Raw | str:
    """The storage of models is the module's own; a vault or a registry is the user's, and has an id already."""
    part = str(endpoint.properties["part"])
    if part == wish.FILE:
        return Raw(f"{azapi.TYPE}.{site.label}_storage.id")
    return wish.given_id(site.found, part, str(endpoint.properties["target"]))


MAKERS: Mapping[str, Maker] = {wish.SUBNET_KIND: _subnet, wish.ZONE_KIND: _zones, wish.ENDPOINT_KIND: _endpoint}
