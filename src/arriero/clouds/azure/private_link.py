"""A site's private endpoints, their subnet and their DNS zones: read into Resources, and what the role is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import cast

from arriero.clouds.azure import groups, registry
from arriero.clouds.azure.connection import Arm, Found, connect
from arriero.clouds.azure.errors import door
from arriero.clouds.azure.network import NETWORK_VERSION, last, prefix
from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts, SitePlan, SiteRef, Value
from arriero.plan.wanted import azure as site_wish
from arriero.plan.wanted import azure_files
from arriero.plan.wanted import azure_private as wish
from arriero.spec.model import ResolvedSite

DNS_VERSION = "2024-06-01"
VAULTS_VERSION = "2023-07-01"
ZONE_GROUP = "default"  # an endpoint has one, whatever it is called


@dataclass(frozen=True, slots=True)
class Reading:
    """Answers that are on their way, and the network and its subnet that they hang on."""

    base: str
    network: Found
    subnet: Found
    zones: Future[list[tuple[Found, Found | None]]]
    endpoints: Future[list[tuple[Found, Found | None]]]

    def resources(self) -> tuple[Resource, ...]:
        zones = (zone_resource(wish.ZONE_KIND, zone, link, self.network) for zone, link in self.zones.result())
        return (self._subnet(), *zones, *(_endpoint(item, names) for item, names in self.endpoints.result()))

    def _subnet(self) -> Resource:
        values = {"prefix": prefix(self.subnet["properties"])}
        return Resource(wish.SUBNET_KIND, wish.SUBNET, values, self.subnet["id"])


def read(arm: Arm, ref: SiteRef, pool: Executor, network: Found | None) -> Reading | None:
    """None, and no request, where the network has no subnet for endpoints: it is made first and goes last."""
    subnet = _own_subnet(network) if network else None
    if network is None or subnet is None:
        return None
    base = f"{ref.service}-{ref.site}"
    return Reading(base, network, subnet, pool.submit(_zones, arm, base), pool.submit(_endpoints, arm, base))


def _own_subnet(network: Found) -> Found | None:
    """A subnet has no tags: one of that name that is elsewhere in the network's range is somebody else's, and stays."""
    properties = network["properties"]
    spaces = (properties.get("addressSpace") or {}).get("addressPrefixes") or ()
    ends = [wish.subnet_prefix(each) for each in spaces]
    subnets = properties.get("subnets") or ()
    return next((each for each in subnets if each["name"] == wish.SUBNET and prefix(each["properties"]) in ends), None)


def zone_resource(kind: str, zone: Found, link: Found | None, network: Found) -> Resource:
    """A private zone, with what its link leads to; a network that is not `network` is told by its whole id."""
    linked = str(((link or {}).get("properties", {}).get("virtualNetwork") or {}).get("id", ""))
    own = linked.lower() == network["id"].lower()
    networks = (last(linked) if own else linked,) if linked else ()
    return Resource(kind, zone["name"], {"networks": networks}, zone["id"], zone.get("tags") or {})


def vaults(arm: Arm, names: Collection[str]) -> tuple[Resource, ...]:
    """Those of the subscription that have these names, one of a kind in all of Azure; no request where none is asked
    for. Azure keeps the capitals that a vault was made with, and its address, so a reference, has none.
    """
    listed = arm.list("/providers/Microsoft.KeyVault/vaults", VAULTS_VERSION) if names else ()
    known = ((str(each["name"]).lower(), each["id"]) for each in listed)
    return tuple(Resource(wish.VAULT_KIND, name, id=path) for name, path in known if name in names)


def given(arm: Arm, ref: SiteRef) -> tuple[Resource, ...]:
    """What is the user's, and led to."""
    return (*vaults(arm, ref.vaults), *registries(arm, ref.registry))


def given_of(ref: SiteRef) -> tuple[Resource, ...]:
    """The same for a site by itself. Raises CloudError."""
    with door(ref.site):
        return given(connect(), ref)


def registries(arm: Arm, host: str) -> tuple[Resource, ...]:
    """The one of the subscription that has this login server, with its tier; no request where none is led to."""
    listed = arm.list(registry.LIST, registry.VERSION) if host else ()
    found = (each for each in listed if registry.is_at(each, host))
    return tuple(
        Resource(wish.REGISTRY_KIND, host, id=each["id"], details={"sku": str((each.get("sku") or {}).get("name", ""))})
        for each in found
    )


def _zones(arm: Arm, base: str) -> list[tuple[Found, Found | None]]:
    """Each with its link to the network; the group may have other zones, such as that of targets' names."""
    place = f"{_place(base)}/privateDnsZones"
    found = {each["name"]: each for each in arm.list(place, DNS_VERSION)}
    names = [zone for zone in wish.ZONES if zone in found]
    return [(found[zone], arm.get(f"{place}/{zone}/virtualNetworkLinks/{base}", DNS_VERSION)) for zone in names]


def _endpoints(arm: Arm, base: str) -> list[tuple[Found, Found | None]]:
    """Each with what ties it to its zone. An endpoint is told with its connections, and not with that."""
    listed = arm.list(f"{_place(base)}/privateEndpoints", NETWORK_VERSION)
    ours = [each for each in listed if wish.is_ours(each["name"], base)]
    paths = [f"{_place(base)}/privateEndpoints/{each['name']}/privateDnsZoneGroups/{ZONE_GROUP}" for each in ours]
    return [(each, arm.get(path, NETWORK_VERSION)) for each, path in zip(ours, paths, strict=True)]


def _endpoint(item: Found, names: Found | None) -> Resource:
    """A connection that somebody has to approve first is listed apart from those that need nobody."""
    properties = item["properties"]
    both = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")
    connections = [each["properties"] for kind in both for each in properties.get(kind) or ()]
    connection = connections[0] if connections else {}
    configs = ((names or {}).get("properties") or {}).get("privateDnsZoneConfigs") or ()
    values: Mapping[str, Value] = {
        "subnet": groups.subnet([properties["subnet"]]),
        "target": last(str(connection.get("privateLinkServiceId", ""))).lower(),
        "part": ",".join(sorted(connection.get("groupIds") or ())),
        "connection": str((connection.get("privateLinkServiceConnectionState") or {}).get("status", "")).lower(),
        "zones": tuple(sorted(last(str(each["properties"]["privateDnsZoneId"])) for each in configs)),
    }
    return Resource(wish.ENDPOINT_KIND, item["name"], values, item["id"], item.get("tags") or {})


def variables(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """The endpoints to have, with their zones and their subnet; what is made anew, links that lead elsewhere among it;
    and what goes, by its kind.
    """
    base = site_wish.base_name(site)
    links = wish.links(site, found, base)
    storage = f"/subscriptions/{found.account}/resourceGroups/{azure_files.group_name(base)}/providers"
    accounts = f"{storage}/Microsoft.Storage/storageAccounts"
    endpoints: list[Json] = [
        {
            "name": link.endpoint,
            "target": f"{accounts}/{link.target}"
            if link.part == wish.FILE
            else wish.given_id(found, link.part, link.target),
            "part": link.part,
            "zone": link.zone,
        }
        for link in links
    ]
    subnet: dict[str, Json] = {"name": wish.SUBNET, "cidr": wish.subnet_prefix(site.network.cidr)}
    wrong = [zone for zone in found.resources if zone.kind == wish.ZONE_KIND and zone.properties["networks"] != (base,)]
    return {
        "azure_site_network_id": f"/subscriptions/{found.account}{_place(base)}/virtualNetworks/{base}",
        "azure_site_endpoint_subnets": [subnet] if links else [],
        "azure_site_private_zones": list(dict.fromkeys(link.zone for link in links)),
        "azure_site_private_endpoints": endpoints,
        "azure_site_zone_group": ZONE_GROUP,
        "azure_site_renewed_endpoints": _names(plan, "replace", wish.ENDPOINT_KIND),
        "azure_site_renewed_links": [zone.name for zone in wrong],
        "azure_site_retired_endpoints": _names(plan, "remove", wish.ENDPOINT_KIND),
        "azure_site_retired_zones": _names(plan, "remove", wish.ZONE_KIND),
        "azure_site_retired_subnets": _names(plan, "remove", wish.SUBNET_KIND),
    }


def zone_parts(ours: Collection[Resource], base: str) -> list[Json]:
    """What `remove.yml` takes out of a resource group that is not ours: a zone's link to the network, then the zone."""
    zones = [resource.name for resource in ours if resource.kind == wish.ZONE_KIND]
    names = [name for zone in zones for name in (f"{zone}/virtualNetworkLinks/{base}", zone)]
    kind = {"provider": "Network", "type": "privateDnsZones", "api_version": DNS_VERSION}
    return [cast(Json, {**kind, "name": name}) for name in names]


def access(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """When the storage is opened or closed to public networks: `access` is what it is given when it is made or set
    right, nothing where it keeps what it has; `closes` whether that waits until the endpoint stands, for targets
    mount the storage meanwhile.
    """
    base = site_wish.base_name(site)
    stored = (*found.resources, *found.kept)
    account = next((r for r in stored if r.kind == azure_files.ACCOUNT_KIND), None)
    is_open = account is None or bool(account.properties["public_access"])
    if all(link.part != wish.FILE for link in wish.links(site, found, base)):
        return {"access": "" if is_open else "Enabled", "closes": False}
    waits = account is not None and is_open and any(change.kind in wish.KINDS for change in plan.changes)
    return {"access": "" if waits else "Disabled", "closes": waits}


def _place(base: str) -> str:
    return f"/resourceGroups/{base}/providers/Microsoft.Network"


def _names(plan: SitePlan, action: str, kind: str) -> list[Json]:
    return [change.name for change in plan.changes if change.action == action and change.kind == kind]
