"""The edges of a site at Azure: gateways as one container app with HTTPS ingress, before the site's container groups.

They run from the targets' image in an environment of their own, in the quarter of the site's network that is kept for
gateways, from where alone, besides `network.allow_from`, targets are reached. They find targets by a name in the site's
private DNS zone, whose records are written when groups came or went, by the role and by who scales, and hold no login:
Container Apps read their keys from Key Vault, by an identity of the user's. Their settings are a variable. Azure gives
the app a name and a certificate for it, restarts what ends, and has a new revision ready before the former one goes.
https://learn.microsoft.com/azure/container-apps/ingress-overview (names, TLS, 240 seconds a request),
https://learn.microsoft.com/azure/container-apps/ip-restrictions (ranges of clients: all rules allow, or all deny),
https://learn.microsoft.com/azure/container-apps/manage-secrets (Key Vault by reference),
https://learn.microsoft.com/azure/container-apps/revisions (single revision mode).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from arriero.cost import edge
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.plan.wanted import edge_settings
from arriero.plan.wanted.azure_apps import LONGEST_STOP_SECONDS, PLAIN_PROFILE
from arriero.plan.wanted.sidecar import PORT
from arriero.spec.image import AZURES_REGISTRY, registry_of
from arriero.spec.ingress import AzureEdges
from arriero.spec.model import ResolvedSite

SUBNET_KIND, ZONE_KIND, RECORDS_KIND = "azure.edge_subnet", "azure.target_zone", "azure.target_names"
ENVIRONMENT_KIND, APP_KIND = "azure.edge_environment", "azure.edges"
KINDS: Mapping[str, str] = {SUBNET_KIND: "names", ZONE_KIND: "names"}
# What needs targets that stand: their addresses, and who asks them.
LATER_KINDS: Mapping[str, str] = dict.fromkeys((RECORDS_KIND, ENVIRONMENT_KIND, APP_KIND), "edges")
# An environment never moves, and an app never leaves its environment.
IMMUTABLE: Mapping[str, tuple[str, ...]] = {ENVIRONMENT_KIND: ("subnet", "is_internal"), APP_KIND: ("environment",)}

SUBNET, CONTAINER, KEYS_SECRET = "edges", "edge", "keys"
READY = "/readyz"
INGRESS_SECONDS = 240
# What nobody knows before the environment, or the Front Door, stands; the role has both by then.
HOST_TO_COME, DOOR_TO_COME = "@EDGE_HOST@", "@FRONT_DOOR_ID@"
# What a range begins with that may not come: only a hand writes such a rule.
DENIED = "not "
# What it is where nobody could tell: then nobody is answered, for no header's value begins with a blank.
NO_DOOR = " not known"
PROBE: Mapping[str, Value] = {"path": READY, "period": 2, "timeout": 2, "failures": 3}


def name(base: str) -> str:
    """Of the app and of its environment."""
    return f"{base}-edge"


def wanted_before(site: ResolvedSite, base: str, prefix: str) -> tuple[Resource, ...]:
    """What is made before the targets; `prefix` is the range of the edges."""
    if site.azure_edges is None:
        return ()
    subnet: Mapping[str, Value] = {"prefix": prefix, "delegations": ("Microsoft.App/environments",)}
    zone: Mapping[str, Value] = {"networks": (base,)}
    return (
        Resource(SUBNET_KIND, SUBNET, subnet),
        Resource(ZONE_KIND, edge_settings.zone(base), zone, tags=_tags(site)),
    )


def wanted_after(
    site: ResolvedSite, found: SiteFacts, base: str, prefix: str, targets: Iterable[str]
) -> tuple[Resource, ...]:
    """What needs them; `targets` are the names of those that are to run."""
    if site.azure_edges is None:
        return ()
    return (
        Resource(
            RECORDS_KIND,
            edge_settings.TARGETS,
            {"targets": tuple(sorted(targets)), "ttl_seconds": edge_settings.TTL_SECONDS},
        ),
        Resource(ENVIRONMENT_KIND, name(base), _around(site, base), tags=_tags(site)),
        Resource(APP_KIND, name(base), _app(site, site.azure_edges, found, base, prefix), tags=_tags(site)),
    )


def settings(site: ResolvedSite, found: SiteFacts, base: str, prefix: str) -> dict[str, Any]:
    """Its own name is the first of `hosts`, known or not; Front Door's questions come with that, too."""
    told = edge_settings.settings(site, base, (), prefix, stop_seconds(site), front_door(site, found))
    own = host(found, base) if _stays(_around(site, base), found) else HOST_TO_COME
    return {**told, "hosts": [own, *told["hosts"]]}


def stop_seconds(site: ResolvedSite) -> int:
    return min(LONGEST_STOP_SECONDS, max(1, round(site.deploy.stop_within)))


def host(found: SiteFacts | None, base: str) -> str:
    """The name that Azure gives the app, which its environment tells; what stands for it before that is there."""
    environment = found.find(ENVIRONMENT_KIND) if found else None
    domain = str(environment.details.get("domain") or "") if environment else ""
    return f"{name(base)}.{domain}" if domain else HOST_TO_COME


def front_door(site: ResolvedSite, found: SiteFacts) -> str:
    """Whom alone they answer, by the spec; of one that can't be read what was set stays."""
    if site.front_door is None:
        return site.gateway.front_door or ""
    standing = found.find(APP_KIND)
    if found.front_door is None and standing:
        return str(standing.details.get("front_door") or DOOR_TO_COME)
    return found.front_door or DOOR_TO_COME


def clients(edges: AzureEdges) -> tuple[str, ...]:
    """The ranges that may reach them; none where everybody may."""
    is_for_all = any(ip_network(each).prefixlen == 0 for each in edges.allow_from)
    return () if is_for_all else tuple(sorted(edges.allow_from))


def notes(site: ResolvedSite) -> list[str]:
    if site.azure_edges is None:
        return []
    alone = ", and they answer the Front Door alone" if site.front_door else ""
    who = " and ".join(clients(site.azure_edges)) or "everybody"
    said = [f"{site.azure_edges.count} edges, which ask for keys, are reached by {who} over https{alone}"]
    if site.deploy.stop_within > LONGEST_STOP_SECONDS:
        said.append(f"Container Apps give a stopping edge {LONGEST_STOP_SECONDS}s at most")
    longest = int(site.gateway.limits.queue_within) + int(site.gateway.limits.first_byte_within)
    if longest > INGRESS_SECONDS:
        said.append(
            f"an answer may take {longest}s to begin by gateway.limits, and the ingress of Container Apps waits "
            f"{INGRESS_SECONDS}s: clients that may wait longer stream, and say X-Arriero-Warming: events"
        )
    return said


def _around(site: ResolvedSite, base: str) -> Mapping[str, Value]:
    return {
        "location": site.region,
        "state": "succeeded",
        "subnet": f"{base}/{SUBNET}",
        "is_internal": False,
        "profiles": (PLAIN_PROFILE,),
    }


def _stays(around: Mapping[str, Value], found: SiteFacts) -> bool:
    """Whether an environment that stands is kept; with another one the edges' name becomes another."""
    standing = found.find(ENVIRONMENT_KIND)
    return standing is None or all(standing.properties[key] == around[key] for key in IMMUTABLE[ENVIRONMENT_KIND])


def _app(site: ResolvedSite, edges: AzureEdges, found: SiteFacts, base: str, prefix: str) -> Mapping[str, Value]:
    registry = registry_of(site.image)
    return {
        "location": site.region,
        "environment": name(base),
        "profile": PLAIN_PROFILE,
        "ingress": {"external": True, "transport": "http", "port": PORT, "insecure": False},
        "clients": clients(edges),
        "revisions": "single",
        "replicas": (edges.count, edges.count),
        "stop_seconds": stop_seconds(site),
        "identities": (edges.identity.lower(),),
        "keys": {"secret": edges.keys, "identity": edges.identity.lower()},
        "registries": {registry: edges.identity.lower()} if registry.endswith(AZURES_REGISTRY) else {},
        "container": {
            "image": site.image,
            "cpu": float(edge.VCPUS),
            "memory_gib": float(edge.MEMORY_GIB),
            "command": edge_settings.COMMAND,
            "readiness": PROBE,
        },
        "settings": as_values(settings(site, found, base, prefix)),
    }


def as_values(told: Any) -> Any:
    """JSON as it is compared: lists have become tuples."""
    if isinstance(told, dict):
        return {key: as_values(value) for key, value in told.items()}
    return tuple(map(as_values, told)) if isinstance(told, list) else told


def as_json(told: Any) -> Any:
    """The way back."""
    if isinstance(told, Mapping):
        return {key: as_json(value) for key, value in told.items()}
    return list(map(as_json, told)) if isinstance(told, tuple) else told


def _tags(site: ResolvedSite) -> dict[str, str]:
    return {SERVICE_TAG: site.service, SITE_TAG: site.name}
