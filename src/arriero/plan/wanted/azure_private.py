"""What a private site in Azure reaches through private endpoints of its own network: the storage of its models, and the
vaults of its secrets and the registry of its image if the spec asks for it. An endpoint each, and for each kind the DNS
zone that names them.

Container groups in a network mount Azure Files through one: Microsoft's own deployment scripts do, from an account
without public access ("Run Bicep deployment script privately over a private endpoint"). No container reads a vault; the
endpoint there is for who deploys or scales from the site's network. For a pull Azure takes that way with a managed
identity only, from a registry of the Premium tier that lets Azure's trusted services in
(https://learn.microsoft.com/azure/container-instances/using-azure-container-registry-mi). Endpoints stand in a subnet
of their own, for a delegated one holds container groups alone
(docs/decisions/0025-private-endpoints-lead-where-somebody-goes.md).

The subnet is made first and goes last: it is read with the network anyway, so a site without it costs no further call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from arriero.cost import private_endpoint
from arriero.errors import Problem, Refused
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.plan.registries import PREMIUM
from arriero.plan.wanted import azure_files
from arriero.spec.model import ResolvedSite

SUBNET_KIND, ZONE_KIND, ENDPOINT_KIND = "azure.endpoint_subnet", "azure.private_dns_zone", "azure.private_endpoint"
# The user's: looked at, never made or removed.
VAULT_KIND, REGISTRY_KIND = "azure.key_vault", "azure.container_registry"
KINDS: Mapping[str, str] = dict.fromkeys((SUBNET_KIND, ZONE_KIND, ENDPOINT_KIND), "endpoints")
# What Azure changes of no endpoint; a connection that was refused or cut at the other end never comes back.
IMMUTABLE: Mapping[str, tuple[str, ...]] = {ENDPOINT_KIND: ("subnet", "target", "part", "connection")}

SUBNET = "endpoints"
LEAST_PREFIX = 28  # Azure keeps five addresses of each subnet
# One zone for all accounts, one for all vaults, one for all registries: public DNS leads their names to names in these.
FILES_ZONE, VAULT_ZONE = "privatelink.file.core.windows.net", "privatelink.vaultcore.azure.net"
REGISTRY_ZONE = "privatelink.azurecr.io"
ZONES = (FILES_ZONE, VAULT_ZONE, REGISTRY_ZONE)
FILE, VAULT, REGISTRY = "file", "vault", "registry"


@dataclass(frozen=True, slots=True)
class Link:
    """What one endpoint leads to: `part` of the storage account, vault or registry named `target`."""

    endpoint: str
    target: str
    part: str
    zone: str


def links(site: ResolvedSite, found: SiteFacts, base: str) -> tuple[Link, ...]:
    """Those that the spec asks for. A registry's own name is not always what its login server begins with."""
    account = azure_files.account_name(found.account, base)
    stored = (Link(f"{base}-files", account, FILE, FILES_ZONE),) if private_endpoint.leads_to_storage(site) else ()
    vaults = (Link(f"{base}-vault-{name}", name, VAULT, VAULT_ZONE) for name in private_endpoint.vaults(site))
    host = private_endpoint.registry(site)
    known = (each for each in found.given if (each.kind, each.name) == (REGISTRY_KIND, host))
    registries = (Link(f"{base}-registry", _last(each.id), REGISTRY, REGISTRY_ZONE) for each in known)
    return (*stored, *vaults, *registries)


def given_id(found: SiteFacts, part: str, target: str) -> str:
    """Of the vault or the registry that an endpoint leads to, which was read before."""
    kind = {VAULT: VAULT_KIND, REGISTRY: REGISTRY_KIND}[part]
    return next(each.id for each in found.given if each.kind == kind and _last(each.id) == target)


def is_ours(endpoint: str, base: str) -> bool:
    return endpoint in (f"{base}-files", f"{base}-registry") or endpoint.startswith(f"{base}-vault-")


def subnet_prefix(cidr: str) -> str:
    """The end of the site's range, where the fewest would have put a subnet of their own."""
    whole = ip_network(cidr)
    return str(ip_network(f"{whole.broadcast_address}/{max(whole.prefixlen, LEAST_PREFIX)}", strict=False))


def wanted(site: ResolvedSite, found: SiteFacts, base: str) -> tuple[Resource, ...]:
    """The order of the kinds is that of making. Raises Refused where the resource group is somebody else's, a vault or
    a registry is not in the subscription, or the registry has no private endpoints.
    """
    _check_registry(site, found)
    asked = links(site, found, base)
    if not asked:
        return ()
    _check_group(site, found)
    _check_vaults(site, found)
    tags = {SERVICE_TAG: site.service, SITE_TAG: site.name}
    zones = dict.fromkeys(link.zone for link in asked)
    return (
        Resource(SUBNET_KIND, SUBNET, {"prefix": subnet_prefix(site.network.cidr)}),
        *(Resource(ZONE_KIND, zone, {"networks": (base,)}, tags=tags) for zone in zones),
        *(Resource(ENDPOINT_KIND, link.endpoint, _properties(link, base), tags=tags) for link in asked),
    )


def notes(site: ResolvedSite) -> list[str]:
    price, vaults = private_endpoint.sentence(site), ", ".join(private_endpoint.vaults(site))
    said = []
    if private_endpoint.leads_to_storage(site):
        said.append(f"the storage of models is reached through a private endpoint alone: {price}")
    if vaults:
        said.append(f"{vaults}: reached from the site's network through a private endpoint, too: {price} each")
    if registry := private_endpoint.registry(site):
        said.append(f"the image is pulled from {registry} through a private endpoint: {price}")
    return said


def _properties(link: Link, base: str) -> Mapping[str, Value]:
    return {
        "subnet": f"{base}/{SUBNET}",
        "target": link.target,
        "part": link.part,
        "connection": "approved",
        "zones": (link.zone,),
    }


def _check_group(site: ResolvedSite, found: SiteFacts) -> None:
    """A resource group has one zone of a name: in somebody else's it may be theirs, and lead others."""
    group = found.find("azure.resource_group")
    if group and group.details.get("ours") is False:
        raise Refused(
            Problem(
                f"the resource group {group.name} is not the service's own, and DNS zones of private endpoints in it "
                "may lead others",
                f"give the group the tags {SERVICE_TAG} and {SITE_TAG} if it is; or name the site anew, or write "
                "network: public",
                key=f"sites.{site.name}.network",
            )
        )


def _check_vaults(site: ResolvedSite, found: SiteFacts) -> None:
    known = {each.name for each in found.given if each.kind == VAULT_KIND}
    missing = [name for name in private_endpoint.vaults(site) if name not in known]
    if missing:
        raise Refused(
            Problem(
                f"the subscription {found.account} has no vault {', '.join(missing)}, to which a private endpoint "
                "could lead",
                "correct the reference; or remove vault there: a vault of another subscription is reached as it is "
                "without one",
                key=f"sites.{site.name}.network.private_endpoints",
            )
        )


def _check_registry(site: ResolvedSite, found: SiteFacts) -> None:
    host, key = private_endpoint.registry(site), f"sites.{site.name}.network.private_endpoints"
    if not host:
        return
    registry = next((each for each in found.given if (each.kind, each.name) == (REGISTRY_KIND, host)), None)
    if registry is None:
        what = f"the subscription {found.account} has no registry {host}, to which a private endpoint could lead"
        remedy = (
            "correct image.registries.azure; or remove registry there: one of another subscription is reached as it is"
        )
        raise Refused(Problem(what, f"{remedy} without one", key=key))
    if (tier := registry.details.get("sku")) != PREMIUM:
        what = f"the registry {host} is of the tier {tier}, and only {PREMIUM} has private endpoints"
        name = registry.id.rpartition("/")[2]
        raise Refused(Problem(what, f"az acr update --name {name} --sku {PREMIUM}; or remove registry there", key=key))


def _last(path: str) -> str:
    return path.rpartition("/")[2].lower()
