"""Edges at Azure for Terraform: their subnet, the zone and records by which they find targets, environment and app.

The app is azapi's, as container apps are (`azure_apps.py`). It names a secret of Key Vault and who may read it; azapi
does not ask for the value. Its settings are written by `jsonencode`, which gives the very text that a deployment sends
(`clouds/azure/edge_variables.py`), so that an import makes no new revision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.clouds.azure import apps, edge_variables
from arriero.pipeline.terraform import azapi, azure_apps, azure_private, front_door
from arriero.pipeline.terraform.hcl import Blocks, Body, Call, Expression, Raw, quoted
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_edges as wish
from arriero.plan.wanted import edge_settings

RECORDS, LINK = "azurerm_private_dns_a_record", "azurerm_private_dns_zone_virtual_network_link"
DOMAIN = "properties.defaultDomain"
KEPT_NOTE = "Whoever scales keeps the addresses; Terraform only sets the first ones."


def host(site: Site) -> Raw:
    """Where a Front Door finds them, once they are there."""
    return Raw(f'"${{{azapi.TYPE}.{site.label}_edges.name}}.${{{azapi.TYPE}.{_around(site)}.output.{DOMAIN}}}"')


def _subnet(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for subnet in resources:
        given = cast("tuple[str, ...]", subnet.properties["delegations"])
        delegations: tuple[Body, ...] = tuple(
            {"name": "environments", "service_delegation": Blocks(({"name": service},))} for service in given
        )
        body: Body = {
            "name": subnet.name,
            "resource_group_name": Raw(f"azurerm_resource_group.{site.label}.name"),
            "virtual_network_name": Raw(f"azurerm_virtual_network.{site.label}.name"),
            "address_prefixes": [str(subnet.properties["prefix"])],
            "delegation": Blocks(delegations),
        }
        yield Piece("azurerm_subnet", f"{site.label}_edges", body, site.imported(subnet))


def _zone(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for zone in resources:
        yield from azure_private.zone(site, zone, f"{site.label}_targets")


def _records(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """The addresses of the groups that are to run, and of none at rest."""
    is_kept = site.spec.scale_by != "hand"
    for records in resources:
        zone = f"azurerm_private_dns_zone.{site.label}_targets"
        names = cast("tuple[str, ...]", records.properties["targets"])
        body: Body = {
            "name": records.name,
            "resource_group_name": Raw(f"azurerm_resource_group.{site.label}.name"),
            "zone_name": Raw(f"{zone}.name"),
            "ttl": cast(int, records.properties["ttl_seconds"]),
            "records": [_address(site, name) for name in names],
            "lifecycle": Blocks(({"ignore_changes": [Raw("records")]},) if is_kept else ()),
        }
        note = KEPT_NOTE if is_kept else ""
        yield Piece(RECORDS, f"{site.label}_targets", body, site.imported(records), note)


def _address(site: Site, group: str) -> Raw:
    """Groups that are azapi's tell what they were asked for."""
    is_sent = azapi.are_groups_sent(site)
    kind, told = (azapi.TYPE, f"output.{azapi.ADDRESS}") if is_sent else ("azurerm_container_group", "ip_address")
    return Raw(f"{kind}.{site.label}[{quoted(group)}].{told}")


def _environment(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for wanted in resources:
        piece = azure_apps.environment(site, wanted, _around(site), f"azurerm_subnet.{site.label}_edges", [])
        yield Piece(piece.type, piece.label, {**piece.body, "response_export_values": [DOMAIN]}, piece.standing)


def _app(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """After the records: edges are ready once they reach a target."""
    after = [Raw(f"{kind}.{site.label}_targets") for kind in (LINK, RECORDS)]
    for app in resources:
        told = edge_variables.body(app, environment_id="")
        body: Body = {
            **azapi.place(f"{apps.TYPE}@{apps.VERSION}", app.name, f"azurerm_resource_group.{site.label}"),
            "tags": app.tags,
            "body": {"properties": _properties(site, app, cast("Mapping[str, Any]", told["properties"]))},
            **azure_apps.ANY_CASE,
            "depends_on": after,
            **azapi.user_assigned(_identity(site)),
        }
        yield Piece(azapi.TYPE, f"{site.label}_edges", body, azapi.imported(site, app, apps.VERSION))


def _properties(site: Site, app: Resource, told: Mapping[str, Any]) -> Mapping[str, Expression]:
    """What the role sends, with what only Terraform will know as references."""
    [container], configuration = told["template"]["containers"], told["configuration"]
    told_settings = Call("jsonencode", _settings(site, app))
    variables = [
        {**each, "value": told_settings} if each["name"] == edge_settings.SETTINGS else each
        for each in container["env"]
    ]
    return {
        **told,
        "environmentId": Raw(f"{azapi.TYPE}.{_around(site)}.id"),
        "configuration": {
            **configuration,
            **{
                member: [{**each, "identity": _identity(site)} for each in configuration[member]]
                for member in ("secrets", "registries")
            },
        },
        "template": {**told["template"], "containers": [{**container, "env": variables}]},
    }


def _settings(site: Site, app: Resource) -> Mapping[str, Expression]:
    """The first of `hosts` is their own name, which is Azure's to give: the environment tells it. So is the id of the
    Front Door that they answer alone, if there is one.
    """
    settings = cast("dict[str, Any]", wish.as_json(app.properties["settings"]))
    own = Raw(f'"{app.name}.${{{azapi.TYPE}.{_around(site)}.output.{DOMAIN}}}"')
    door = {"front_door_id": front_door.ID} if site.spec.front_door else {}
    return {**settings, "hosts": [own, *settings["hosts"][1:]], **door}


def _identity(site: Site) -> str:
    return azapi.spelt(site.spec.azure_edges.identity) if site.spec.azure_edges else ""


def _around(site: Site) -> str:
    return f"{site.label}_edge_environment"


MAKERS: Mapping[str, Maker] = {
    wish.SUBNET_KIND: _subnet,
    wish.ZONE_KIND: _zone,
    wish.RECORDS_KIND: _records,
    wish.ENVIRONMENT_KIND: _environment,
    wish.APP_KIND: _app,
}
