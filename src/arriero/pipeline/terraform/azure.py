"""An Azure site in the words of the provider hashicorp/azurerm, and of azapi where that would keep a key in Terraform's
state or has no such resource (`azapi.py`).

A NAT gateway carries no tags, because the module that makes it sets none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.pipeline.terraform import (
    azapi,
    azure_alerts,
    azure_apps,
    azure_edges,
    azure_machines,
    azure_private,
    azure_storage,
)
from arriero.pipeline.terraform.hcl import Blocks, Body, Call, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.firewall import ALL_PORTS, Rule, nsg_rule
from arriero.plan.model import Resource
from arriero.plan.wanted import azure_spares
from arriero.plan.wanted.azure import (
    PROBE_PERIOD_SECONDS,
    SUBNET,
    probe,
    probe_failures,
)
from arriero.plan.wanted.azure_logs import KIND, LOG_TYPE, MEMBER

FOREIGN_NOTE = "This group was there before the service: Terraform will not remove it."


def _inside(site: Site, name: str, **body: Expression | Blocks) -> Body:
    """The body of a thing in the site's resource group."""
    group = f"azurerm_resource_group.{site.label}"
    return {"name": name, "resource_group_name": Raw(f"{group}.name"), "location": Raw(f"{group}.location"), **body}


def _resource_group(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [group] = resources
    standing = site.standing(group)
    spares = {azure_spares.KEPT_TAG: azure_spares.KEPT} if "spares" in group.properties else {}
    tags = {**site.tags, **spares}
    body: Body = {"name": group.name, "location": str(group.properties["location"]), "tags": tags}
    if standing and not standing.details.get("ours", True):
        kept = Blocks(({"prevent_destroy": True, "ignore_changes": [Raw("tags")]},))
        yield Piece(
            "azurerm_resource_group", site.label, {**body, "lifecycle": kept}, site.imported(group), FOREIGN_NOTE
        )
        return
    yield Piece("azurerm_resource_group", site.label, body, site.imported(group))


def _security_group(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [group] = resources
    rules = cast("Mapping[str, str]", group.properties["rules"])
    blocks = Blocks(tuple(_rule(name, nsg_rule(line)) for name, line in rules.items()))
    body = _inside(site, group.name, tags=site.tags, security_rule=blocks)
    yield Piece("azurerm_network_security_group", site.label, body, site.imported(group))


def _rule(name: str, rule: Rule) -> Body:
    """One or many: the provider, as Azure, has an argument of its own for each."""
    sources, targets = (rule.peers, rule.targets) if rule.is_inbound else (rule.targets, rule.peers)
    return {
        "name": name,
        "priority": rule.priority,
        "direction": "Inbound" if rule.is_inbound else "Outbound",
        "access": "Allow" if rule.is_allowed else "Deny",
        "protocol": rule.protocol.capitalize(),
        **_one_or_many("source_address_prefix", "source_address_prefixes", sources),
        "source_port_range": "*",
        **_one_or_many("destination_address_prefix", "destination_address_prefixes", targets),
        **_one_or_many("destination_port_range", "destination_port_ranges", tuple(map(_span, rule.ports))),
    }


def _one_or_many(one: str, many: str, values: tuple[str, ...]) -> Mapping[str, Expression]:
    return {one: values[0]} if len(values) == 1 else {many: list(values)}


def _span(ports: tuple[int, int]) -> str:
    if ports == ALL_PORTS:
        return "*"
    first, last = ports
    return str(first) if first == last else f"{first}-{last}"


def _public_ip(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [address] = resources
    body = _inside(
        site,
        address.name,
        allocation_method=str(address.properties["allocation"]).capitalize(),
        sku=str(address.properties["sku"]),
        tags=site.tags,
    )
    yield Piece("azurerm_public_ip", site.label, body, site.imported(address))


def _nat_gateway(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [gateway] = resources
    yield Piece("azurerm_nat_gateway", site.label, _inside(site, gateway.name), site.imported(gateway))
    standing = site.standing(gateway)
    held = cast("tuple[str, ...]", standing.properties["public_ips"]) if standing else ()
    for name in cast("tuple[str, ...]", gateway.properties["public_ips"]):
        address = site.found.find("azure.public_ip", name)
        joined = {"": f"{standing.id}|{address.id}"} if standing and address and name in held else {}
        body = {
            "nat_gateway_id": Raw(f"azurerm_nat_gateway.{site.label}.id"),
            "public_ip_address_id": Raw(f"azurerm_public_ip.{site.label}.id"),
        }
        yield Piece("azurerm_nat_gateway_public_ip_association", site.label, body, joined)


def _virtual_network(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [network] = resources
    prefixes = list(cast("tuple[str, ...]", network.properties["address_prefixes"]))
    body = _inside(site, network.name, address_space=prefixes, tags=site.tags)
    yield Piece("azurerm_virtual_network", site.label, body, site.imported(network))
    yield from _subnet(site, network)


def _subnet(site: Site, network: Resource) -> Iterator[Piece]:
    """The subnet, and its ties to the security group and the NAT gateway, which are resources of their own here."""
    standing = site.standing(network)
    wish, held = _subnet_of(network), _subnet_of(standing) if standing else {}
    there = {"": f"{standing.id}/subnets/{SUBNET}"} if standing and held else {}
    delegations = Blocks(
        tuple(
            {
                "name": "environments" if site.spec.gpu else "containers",
                "service_delegation": Blocks(({"name": service},)),
            }
            for service in wish["delegations"]
        )
    )
    body: Body = {
        "name": SUBNET,
        "resource_group_name": Raw(f"azurerm_resource_group.{site.label}.name"),
        "virtual_network_name": Raw(f"azurerm_virtual_network.{site.label}.name"),
        "address_prefixes": [wish["prefix"]],
        "delegation": delegations,
    }
    yield Piece("azurerm_subnet", site.label, body, there)
    for tie, kind in (("security_group", "network_security_group"), ("nat_gateway", "nat_gateway")):
        tied: Body = {
            "subnet_id": Raw(f"azurerm_subnet.{site.label}.id"),
            f"{kind}_id": Raw(f"azurerm_{kind}.{site.label}.id"),
        }
        joined = there if held.get(tie) == wish[tie] else {}
        yield Piece(f"azurerm_subnet_{kind}_association", site.label, tied, joined)


def _subnet_of(network: Resource) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", network.properties["subnet"] or {})


def _workspace(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    for workspace in resources:
        body = _inside(
            site,
            workspace.name,
            sku=str(workspace.properties["sku"]),
            retention_in_days=cast(int, workspace.properties["retention_days"]),
            tags=site.tags,
        )
        yield Piece("azurerm_log_analytics_workspace", site.label, body, site.imported(workspace))


def _diagnostics(site: Site) -> Body:
    """The key is Terraform's own to ask for; its state holds it."""
    workspace = f"azurerm_log_analytics_workspace.{site.label}"
    told: Body = {
        "log_type": LOG_TYPE,
        "workspace_id": Raw(f"{workspace}.workspace_id"),
        "workspace_key": Raw(f"{workspace}.primary_shared_key"),
    }
    return {"diagnostics": Blocks(({"log_analytics": Blocks((told,))},))}


def _container_groups(site: Site, groups: tuple[Resource, ...]) -> Iterator[Piece]:
    """All of them in one block: they are copies of one pattern, and differ in their names only."""
    if not groups:
        return
    if azapi.are_groups_sent(site):
        yield from azapi.secret_groups(site, groups)
        return
    wish = cast("Mapping[str, Any]", groups[0].properties)
    body: Body = {
        "for_each": Call("toset", [group.name for group in groups]),
        **_inside(site, ""),
        "name": Raw("each.key"),
        "os_type": wish["os_type"],
        "restart_policy": wish["restart_policy"],
        "ip_address_type": wish["address"].capitalize(),
        "subnet_ids": [Raw(f"azurerm_subnet.{site.label}.id")],
        "tags": wish["tags"],
        "depends_on": azapi.network_ties(site),
        "container": Blocks(tuple(_container(site, name, each) for name, each in wish["containers"].items())),
        **(_diagnostics(site) if MEMBER in wish else {}),
        **_pulling(site, wish),
    }
    standing = {group.name: found.id for group in groups if (found := site.standing(group))}
    yield Piece("azurerm_container_group", site.label, body, standing)


def _pulling(site: Site, wish: Mapping[str, Any]) -> Body:
    """The identity that the image is pulled with, where there is one."""
    servers, name = wish.get("registries", ()), azapi.identity_id(site)
    asking = Blocks(tuple({"server": server, "user_assigned_identity_id": name} for server in servers))
    return {**azapi.identity(site), "image_registry_credential": asking} if servers else {}


def _container(site: Site, name: str, container: Mapping[str, Any]) -> Body:
    commands = {"commands": list(container["command"])} if container["command"] else {}
    ports = tuple({"port": port, "protocol": "TCP"} for port in container["ports"])
    return {
        "name": name,
        "image": container["image"],
        "cpu": container["cpu"],
        "memory": container["memory_gb"],
        **commands,
        "environment_variables": container["environment"],
        "ports": Blocks(ports),
        "liveness_probe": Blocks((_probe(site),) if container["liveness"] else ()),
    }


def _probe(site: Site) -> Body:
    """What `azure_rm_containerinstance` has no argument for, the provider has."""
    does = cast("Mapping[str, Any]", probe(site.spec))
    how: Body = {"exec": does["exec"]["command"]} if "exec" in does else {"http_get": Blocks((does["httpGet"],))}
    return {**how, "period_seconds": PROBE_PERIOD_SECONDS, "failure_threshold": probe_failures(site.spec)}


MAKERS: Mapping[str, Maker] = {
    "azure.resource_group": _resource_group,
    "azure.network_security_group": _security_group,
    "azure.public_ip": _public_ip,
    "azure.nat_gateway": _nat_gateway,
    "azure.virtual_network": _virtual_network,
    KIND: _workspace,
    **azure_storage.MAKERS,
    **azure_private.MAKERS,
    "azure.container_group": _container_groups,
    **azure_apps.MAKERS,
    **azure_machines.MAKERS,
    **azure_edges.MAKERS,
    **azure_alerts.MAKERS,
    **azapi.MAKERS,
}
