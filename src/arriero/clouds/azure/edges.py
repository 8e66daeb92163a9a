"""A site's edges, their environment and subnet, and the zone in which they find targets: read into Resources.

They are looked for where the network has their subnet: it is made first and goes last, and is read with the network
anyway, so a site without edges costs no further call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from arriero.clouds.azure import apps, groups
from arriero.clouds.azure.connection import Arm, Found
from arriero.clouds.azure.network import last, prefix
from arriero.clouds.azure.private_link import DNS_VERSION, zone_resource
from arriero.plan.model import Resource, SiteRef, Value
from arriero.plan.wanted import azure as site_wish
from arriero.plan.wanted import azure_edges as wish
from arriero.plan.wanted import edge_settings

Name = Future[Found | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """Answers that are on their way, and the network and subnet that they hang on."""

    base: str
    network: Found
    subnet: Found
    zone: Name
    link: Name
    records: Name
    environment: Name
    app: Name

    def resources(self, items: Iterable[Found]) -> tuple[Resource, ...]:
        """`items` are the site's container groups, whose addresses the records should have."""
        zone, records, around, app = (f.result() for f in (self.zone, self.records, self.environment, self.app))
        found = [self._subnet()]
        found += [zone_resource(wish.ZONE_KIND, zone, self.link.result(), self.network)] if zone else []
        found += [_records(records, items)] if records else []
        found += [_environment(around)] if around else []
        found += [_app(app)] if app else []
        return tuple(found)

    def _subnet(self) -> Resource:
        about = self.subnet["properties"]
        given = sorted(str(each["properties"].get("serviceName")) for each in about.get("delegations") or ())
        values: Mapping[str, Value] = {"prefix": prefix(about), "delegations": tuple(given)}
        return Resource(wish.SUBNET_KIND, wish.SUBNET, values, self.subnet["id"])


def read(arm: Arm, ref: SiteRef, pool: Executor, network: Found | None) -> Reading | None:
    """None, and no request, where the network has no subnet of edges."""
    subnet = _own_subnet(network) if network else None
    if network is None or subnet is None:
        return None
    base = f"{ref.service}-{ref.site}"
    zone = _zone_path(base)
    app = f"/resourceGroups/{base}/providers"
    return Reading(
        base,
        network,
        subnet,
        pool.submit(arm.get, zone, DNS_VERSION),
        pool.submit(arm.get, f"{zone}/virtualNetworkLinks/{base}", DNS_VERSION),
        pool.submit(arm.get, records_path(ref), DNS_VERSION),
        pool.submit(arm.get, f"{app}/{apps.ENVIRONMENTS}/{wish.name(base)}", apps.VERSION),
        pool.submit(arm.get, f"{app}/{apps.TYPE}/{wish.name(base)}", apps.VERSION),
    )


def records_path(ref: SiteRef) -> str:
    return f"{_zone_path(f'{ref.service}-{ref.site}')}/A/{edge_settings.TARGETS}"


def _zone_path(base: str) -> str:
    return f"/resourceGroups/{base}/providers/Microsoft.Network/privateDnsZones/{edge_settings.zone(base)}"


def addresses(records: Found) -> tuple[str, ...]:
    """Those of a record set, each once."""
    listed = records["properties"].get("aRecords") or ()
    return tuple(sorted({str(each["ipv4Address"]) for each in listed}))


def address(group: Found) -> str:
    """A container group's own; empty where it has none, or is about to go."""
    if groups.is_at_rest(group):
        return ""
    return str((group["properties"].get("ipAddress") or {}).get("ip") or "")


def _own_subnet(network: Found) -> Found | None:
    """A subnet has no tags: one of that name that is elsewhere in the network's range is somebody else's, and stays."""
    about = network["properties"]
    spaces = (about.get("addressSpace") or {}).get("addressPrefixes") or ()
    places = [site_wish.gateway_range(each) for each in spaces]
    subnets = about.get("subnets") or ()
    return next(
        (each for each in subnets if each["name"] == wish.SUBNET and prefix(each["properties"]) in places), None
    )


def _records(records: Found, items: Iterable[Found]) -> Resource:
    """By the names of the groups that have the addresses; what no group has is told as it is."""
    names = {address(item): str(item["name"]) for item in items}
    told = tuple(sorted(names.get(each, each) for each in addresses(records)))
    values: Mapping[str, Value] = {"targets": told, "ttl_seconds": records["properties"].get("ttl")}
    return Resource(wish.RECORDS_KIND, records["name"], values, records["id"])


def _environment(item: Found) -> Resource:
    found = apps.environment_resource(item)
    details = {**found.details, "domain": item["properties"].get("defaultDomain")}
    return Resource(wish.ENVIRONMENT_KIND, found.name, found.properties, found.id, found.tags, details)


def _app(item: Found) -> Resource:
    about = item["properties"]
    configuration, template = about.get("configuration") or {}, about.get("template") or {}
    ingress, scale = configuration.get("ingress") or {}, template.get("scale") or {}
    container: Found = next(iter(template.get("containers") or ()), {})
    settings = _settings(container)
    values: Mapping[str, Value] = {
        "location": str(item.get("location", "")).replace(" ", "").lower(),
        "environment": last(str(about.get("environmentId") or about.get("managedEnvironmentId") or "")),
        "profile": about.get("workloadProfileName"),
        "ingress": {
            "external": bool(ingress.get("external")),
            "transport": str(ingress.get("transport", "")).lower(),
            "port": ingress.get("targetPort"),
            "insecure": bool(ingress.get("allowInsecure")),
        },
        "clients": _clients(ingress),
        "revisions": str(configuration.get("activeRevisionsMode", "")).lower(),
        "replicas": (scale.get("minReplicas") or 0, scale.get("maxReplicas") or 0),
        "stop_seconds": template.get("terminationGracePeriodSeconds"),
        "identities": tuple(sorted(map(str.lower, (item.get("identity") or {}).get("userAssignedIdentities") or ()))),
        "keys": _keys(configuration, container),
        "registries": {
            str(each["server"]): str(each.get("identity") or "").lower()
            for each in configuration.get("registries") or ()
        },
        "container": _container(container),
        "settings": wish.as_values(settings),
    }
    tags = {key: str(value) for key, value in (item.get("tags") or {}).items()}
    details: Mapping[str, Value] = {
        "host": ingress.get("fqdn"),
        "front_door": settings.get("front_door_id"),
        "is_ready": about.get("latestRevisionName") == about.get("latestReadyRevisionName"),
    }
    return Resource(wish.APP_KIND, item["name"], values, item["id"], tags, details)


def _clients(ingress: Found) -> tuple[str, ...]:
    """The ranges that may come; `not RANGE` where a rule denies. None of it where everybody may come."""
    rules = ((each, str(each.get("action", "")).lower()) for each in ingress.get("ipSecurityRestrictions") or ())
    return tuple(sorted(f"{'' if does == 'allow' else wish.DENIED}{_range(each)}" for each, does in rules))


def _range(rule: Found) -> str:
    text = str(rule.get("ipAddressRange"))
    return text if "/" in text else f"{text}/32"


def _settings(container: Found) -> dict[str, Any]:
    """Nothing where a hand has put something else there."""
    given = {each["name"]: each.get("value") for each in container.get("env") or ()}
    try:
        found = json.loads(given.get(edge_settings.SETTINGS) or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _keys(configuration: Found, container: Found) -> Mapping[str, Value]:
    """Where the container's keys come from."""
    named = {each["name"]: each.get("secretRef") for each in container.get("env") or ()}
    secret: Found = next(
        (each for each in configuration.get("secrets") or () if each["name"] == named.get(edge_settings.KEYS)), {}
    )
    return {"secret": secret.get("keyVaultUrl"), "identity": str(secret.get("identity") or "").lower()}


def _container(container: Found) -> Mapping[str, Value]:
    resources = container.get("resources") or {}
    probe: Found = next((each for each in container.get("probes") or () if each.get("type") == "Readiness"), {})
    return {
        "image": container.get("image"),
        "cpu": float(resources.get("cpu") or 0),
        "memory_gib": float(str(resources.get("memory") or "0").removesuffix("Gi")),
        "command": tuple(container.get("command") or ()),
        "readiness": {
            "path": (probe.get("httpGet") or {}).get("path"),
            "period": probe.get("periodSeconds"),
            "timeout": probe.get("timeoutSeconds"),
            "failures": probe.get("failureThreshold"),
        },
    }
