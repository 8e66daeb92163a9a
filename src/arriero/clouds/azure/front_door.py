"""A service's Front Door: read into the form of a site, and what the role `azure_front_door` needs to make it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from arriero.clouds.azure import network
from arriero.clouds.azure.connection import Arm, Found, connect
from arriero.clouds.azure.errors import door
from arriero.clouds.azure.network import GROUPS_VERSION
from arriero.clouds.azure.patience import PATIENCE
from arriero.events import Json
from arriero.plan import front_door as wish
from arriero.plan.model import Facts, Resource, SiteFacts, SiteRef, StorePlan, Value
from arriero.spec.front_door import NAME
from arriero.spec.model import Spec

VERSION = "2024-02-01"
_LEAST_WAIT_SECONDS = 600  # Azure makes a profile in minutes


def read(service: str, region: str) -> SiteFacts:
    """What stands: two calls, and four more where there is a profile. Raises CloudError."""
    ref = SiteRef(service, NAME, "azure", region)
    with door("", region), ThreadPoolExecutor(6, thread_name_prefix="front door") as pool:
        arm, base = connect(), f"/resourceGroups/{wish.group_name(service)}"
        above = pool.submit(arm.get, base, GROUPS_VERSION)
        path = f"{base}/providers/Microsoft.Cdn/profiles/{service}"
        profile = arm.get(path, VERSION)
        inside = _inside(arm, pool, path, service) if profile else ()
        group = above.result()
    resources = [network.resource_group(group, ref)] if group else []
    resources += [_profile(profile), *inside] if profile else []
    return SiteFacts(NAME, "azure", region, arm.subscription, tuple(resources))


def variables(spec: Spec, facts: Facts, planned: StorePlan) -> dict[str, Json]:
    """What the role needs; origins as far as it is known where they are."""
    wanted = wish.wanted(spec, facts)
    profile, origins = _one(wanted, wish.PROFILE), _one(wanted, wish.ORIGINS)
    gone = [change.name for change in planned.changes if change.kind == wish.ORIGIN and change.action == "remove"]
    replaced = [change.name for change in planned.changes if change.kind == wish.ROUTE and change.action == "replace"]
    return {
        "azure_front_door_group": wish.group_name(spec.name),
        "azure_front_door_location": planned.region,
        "azure_front_door_tags": dict(wish.tags(spec.name)),
        "azure_front_door_name": spec.name,
        "azure_front_door_sku": _text(profile, "sku"),
        "azure_front_door_response_seconds": cast(int, profile.properties["response_seconds"]),
        "azure_front_door_origin_group": origins.name,
        "azure_front_door_probe": cast("dict[str, Json]", dict(wish.PROBE)),
        "azure_front_door_samples": cast("dict[str, Json]", dict(wish.SAMPLES)),
        "azure_front_door_origins": [_origin(each) for each in wanted if each.kind == wish.ORIGIN],
        "azure_front_door_origins_gone": list(gone),
        "azure_front_door_route": wish.ROUTE_NAME,
        "azure_front_door_routes_replaced": list(replaced),
        "azure_front_door_seconds": max(_LEAST_WAIT_SECONDS, int(spec.deploy.ready_within)),
        **PATIENCE.variables(int(spec.deploy.ready_within)),
    }


def _origin(origin: Resource) -> Json:
    """`host` is empty where no load balancer or edge stands yet, and plain Ansible has just made it; so is
    `host_header` where that is the same.
    """
    properties = origin.properties
    return {
        "site": origin.name,
        "host": str(properties.get("host", "")),
        "host_header": str(properties.get("host_header", "")),
        "checks_name": bool(properties["checks_name"]),
        "port": cast(int, properties["port"]),
        "priority": cast(int, properties["priority"]),
        "weight": cast(int, properties["weight"]),
    }


def _inside(arm: Arm, pool: ThreadPoolExecutor, path: str, service: str) -> tuple[Resource, ...]:
    endpoint = pool.submit(arm.get, f"{path}/afdEndpoints/{service}", VERSION)
    route = pool.submit(arm.get, f"{path}/afdEndpoints/{service}/routes/{wish.ROUTE_NAME}", VERSION)
    group = pool.submit(arm.get, f"{path}/originGroups/{wish.GROUP_OF_ORIGINS}", VERSION)
    origins = arm.list(f"{path}/originGroups/{wish.GROUP_OF_ORIGINS}/origins", VERSION) if group.result() else []
    return (*_found(endpoint.result(), group.result(), route.result()), *map(_origin_found, origins))


def _found(endpoint: Found | None, group: Found | None, route: Found | None) -> Iterator[Resource]:
    if endpoint:
        about = endpoint["properties"]
        values: dict[str, Value] = {"enabled": _is_on(about)}
        yield Resource(wish.ENDPOINT, endpoint["name"], values, endpoint["id"], details={"host": about["hostName"]})
    if group:
        yield _group_found(group)
    if route:
        yield _route_found(route)


def _profile(profile: Found) -> Resource:
    about, tags = profile["properties"], dict(profile.get("tags") or {})
    properties: dict[str, Value] = {
        "sku": profile["sku"]["name"],
        "response_seconds": about.get("originResponseTimeoutSeconds"),
        "tags": dict(tags),
    }
    return Resource(wish.PROFILE, profile["name"], properties, profile["id"], tags, {"id": about["frontDoorId"]})


def _group_found(group: Found) -> Resource:
    about = group["properties"]
    probe, samples = about.get("healthProbeSettings") or {}, about.get("loadBalancingSettings") or {}
    properties: dict[str, Value] = {
        "probe": {
            "path": probe.get("probePath"),
            "protocol": probe.get("probeProtocol"),
            "request": probe.get("probeRequestType"),
            "interval": probe.get("probeIntervalInSeconds"),
        },
        "samples": {
            "size": samples.get("sampleSize"),
            "successful": samples.get("successfulSamplesRequired"),
            "latency_ms": samples.get("additionalLatencyInMilliseconds"),
        },
        "is_sticky": about.get("sessionAffinityState") == "Enabled",
    }
    return Resource(wish.ORIGINS, group["name"], properties, group["id"])


def _origin_found(origin: Found) -> Resource:
    about = origin["properties"]
    properties: dict[str, Value] = {
        "host": about["hostName"],
        "host_header": about.get("originHostHeader"),
        "port": about.get("httpsPort"),
        "priority": about.get("priority"),
        "weight": about.get("weight"),
        "checks_name": about.get("enforceCertificateNameCheck") is not False,
        "enabled": _is_on(about),
    }
    return Resource(wish.ORIGIN, origin["name"], properties, origin["id"])


def _route_found(route: Found) -> Resource:
    about = route["properties"]
    properties: dict[str, Value] = {
        "origins": str((about.get("originGroup") or {}).get("id", "")).rpartition("/")[2],
        "patterns": tuple(about.get("patternsToMatch") or ()),
        "protocols": tuple(sorted(about.get("supportedProtocols") or ())),
        "redirects": about.get("httpsRedirect") == "Enabled",
        "forwards": about.get("forwardingProtocol"),
        "is_default": about.get("linkToDefaultDomain") == "Enabled",
        "caches": bool(about.get("cacheConfiguration")),
        "enabled": _is_on(about),
    }
    return Resource(wish.ROUTE, route["name"], properties, route["id"])


def _is_on(about: Found) -> bool:
    return bool(about.get("enabledState") == "Enabled")


def _one(wanted: tuple[Resource, ...], kind: str) -> Resource:
    return next(each for each in wanted if each.kind == kind)


def _text(resource: Resource, name: str) -> str:
    return str(resource.properties[name])
