"""What a private site in Azure reaches through private endpoints of its own network: the storage of its models, and the
vaults of its secrets if the spec asks for it. An endpoint each, and for each kind the DNS zone that names them.

Container groups in a network mount Azure Files through one: Microsoft's own deployment scripts do, from an account
without public access ("Run Bicep deployment script privately over a private endpoint"). No container reads a vault; the
endpoint there is for who deploys or scales from the site's network. The registry has none: for a pull Azure takes that
way with a managed identity only, which the groups have not
(docs/decisions/0025-private-endpoints-lead-where-somebody-goes.md). Endpoints stand in a subnet of their own, for a
delegated one holds container groups alone.

The subnet is made first and goes last: it is read with the network anyway, so a site without it costs no further call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from arriero.cost import private_endpoint
from arriero.errors import Problem, Refused
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.plan.wanted import azure_files
from arriero.spec.model import ResolvedSite

SUBNET_KIND, ZONE_KIND, ENDPOINT_KIND = "azure.endpoint_subnet", "azure.private_dns_zone", "azure.private_endpoint"
VAULT_KIND = "azure.key_vault"  # the user's: looked at, never made or removed
KINDS: Mapping[str, str] = dict.fromkeys((SUBNET_KIND, ZONE_KIND, ENDPOINT_KIND), "endpoints")
# What Azure changes of no endpoint; a connection that was refused or cut at the other end never comes back.
IMMUTABLE: Mapping[str, tuple[str, ...]] = {ENDPOINT_KIND: ("subnet", "target", "part", "connection")}

SUBNET = "endpoints"
LEAST_PREFIX = 28  # Azure keeps five addresses of each subnet
# One zone for all accounts, one for all vaults: public DNS leads their names to names in these.
FILES_ZONE, VAULT_ZONE = "privatelink.file.core.windows.net", "privatelink.vaultcore.azure.net"
ZONES = (FILES_ZONE, VAULT_ZONE)


@dataclass(frozen=True, slots=True)
class Link:
    """What one endpoint leads to: `part` of the storage account or vault that is named `target`."""

    endpoint: str
    target: str
    part: str
    zone: str


def links(site: ResolvedSite, account: str, base: str) -> tuple[Link, ...]:
    """Those that the spec asks for; `account` is the name of the storage account."""
    stored = (Link(f"{base}-files", account, "file", FILES_ZONE),) if private_endpoint.leads_to_storage(site) else ()
    vaults = (Link(f"{base}-vault-{name}", name, "vault", VAULT_ZONE) for name in private_endpoint.vaults(site))
    return (*stored, *vaults)


def is_ours(endpoint: str, base: str) -> bool:
    return endpoint == f"{base}-files" or endpoint.startswith(f"{base}-vault-")


def subnet_prefix(cidr: str) -> str:
    """The end of the site's range, where the fewest would have put a subnet of their own."""
    whole = ip_network(cidr)
    return str(ip_network(f"{whole.broadcast_address}/{max(whole.prefixlen, LEAST_PREFIX)}", strict=False))


def wanted(site: ResolvedSite, found: SiteFacts, base: str) -> tuple[Resource, ...]:
    """The order of the kinds is that of making. Raises Refused where the resource group is somebody else's, or a vault
    is not in the subscription.
    """
    asked = links(site, azure_files.account_name(found.account, base), base)
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
