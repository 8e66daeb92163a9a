"""Container apps and their environment for Terraform, in the words of Azure/azapi; the bodies are those of the role.

azurerm has both types, and none of them as it is wanted. For a profile with a GPU it sends a least count, which Azure
refuses (https://github.com/hashicorp/terraform-provider-azurerm/issues/31763). An environment that it imports it makes
anew, for the name that Azure gave to what it keeps for it (issue 28727 there). And it asks each app for its secrets, to
write the values into Terraform's state, those that come from Key Vault, too.

Azure tells enumerated values as it spells them (`Tcp`), so case is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.clouds.azure import app_bodies, apps
from arriero.pipeline.terraform import azapi
from arriero.pipeline.terraform.hcl import Body, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_apps as wish

PORTS_NOTE = "Each app has a port of its own at the environment's address."
ANY_CASE: Mapping[str, Expression] = {"ignore_casing": True}


def environment(site: Site, wanted: Resource, label: str, subnet: str, ties: list[Raw]) -> Piece:
    """`subnet` is the address of the subnet that it is in, and `ties` what has to be tied to that before."""
    properties = dict(cast("Mapping[str, Any]", app_bodies.environment(wanted, subnet_id="")["properties"]))
    network = {**properties["vnetConfiguration"], "infrastructureSubnetId": Raw(f"{subnet}.id")}
    after: Body = {"depends_on": ties} if ties else {}
    body: Body = {
        **azapi.place(f"{apps.ENVIRONMENTS}@{apps.VERSION}", wanted.name, f"azurerm_resource_group.{site.label}"),
        "tags": site.tags,
        "body": {"properties": {**properties, "vnetConfiguration": network}},
        **ANY_CASE,
        **after,
    }
    return Piece(azapi.TYPE, label, body, azapi.imported(site, wanted, apps.VERSION))


def ports(site: Site, wanted: tuple[Resource, ...]) -> Mapping[str, int]:
    """By app: the one that it has, or the next that is free, as a deployment would give it."""
    has = {each.name: port for each in site.found.resources if isinstance(port := each.details.get("port"), int)}
    new = [app.name for app in wanted if not has.get(app.name)]
    given = dict(zip(new, wish.free_ports(set(has.values()), len(new)), strict=True))
    return {app.name: given.get(app.name) or has[app.name] for app in wanted}


def _environment(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for wanted in resources:
        subnet = f"azurerm_subnet.{site.label}"
        yield environment(site, wanted, f"{site.label}_environment", subnet, azapi.network_ties(site))


def _apps(site: Site, wanted: tuple[Resource, ...]) -> Iterator[Piece]:
    """All of them in one block: copies of one pattern, which differ in their names and ports."""
    if not wanted:
        return
    told = dict(cast("Mapping[str, Any]", app_bodies.app(wanted[0], environment_id="", exposed_port=0)["properties"]))
    ingress = {**told["configuration"]["ingress"], "exposedPort": Raw("each.value")}
    around = {"environmentId": Raw(f"{azapi.TYPE}.{site.label}_environment.id")}
    configuration = {**told["configuration"], "ingress": ingress}
    if pulling := configuration.get("registries"):
        configuration["registries"] = [{**each, "identity": azapi.identity_id(site)} for each in pulling]
    properties = {**told, **around, "configuration": configuration}
    body: Body = {
        "for_each": ports(site, wanted),
        **azapi.place(f"{apps.TYPE}@{apps.VERSION}", "", f"azurerm_resource_group.{site.label}"),
        "name": Raw("each.key"),
        "tags": cast("Mapping[str, str]", wanted[0].properties["tags"]),
        "body": {"properties": properties},
        **ANY_CASE,
        **azapi.identity(site),
    }
    standing = {app.name: azapi.with_version(found, apps.VERSION) for app in wanted if (found := site.standing(app))}
    yield Piece(azapi.TYPE, site.label, body, standing, PORTS_NOTE)


MAKERS: Mapping[str, Maker] = {wish.ENVIRONMENT_KIND: _environment, wish.APP_KIND: _apps}
