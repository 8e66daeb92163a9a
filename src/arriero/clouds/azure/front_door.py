"""A service's Front Door: read into the form of a site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from arriero.clouds.azure import network
from arriero.clouds.azure.connection import Arm, Found, connect
from arriero.clouds.azure.errors import door
from arriero.clouds.azure.network import GROUPS_VERSION
from arriero.plan import front_door as wish
from arriero.plan import front_door_names as names
from arriero.plan.model import Resource, SiteFacts, SiteRef, Value
from arriero.spec.front_door import NAME

VERSION = "2024-02-01"


def read(service: str, region: str) -> SiteFacts:
    """What stands: two calls, and six more where there is a profile. Raises CloudError."""
    ref = SiteRef(service, NAME, "azure", region)
    with door("", region), ThreadPoolExecutor(8, thread_name_prefix="front door") as pool:
        arm, base = connect(), f"/resourceGroups/{wish.group_name(service)}"
        above = pool.submit(arm.get, base, GROUPS_VERSION)
        path = f"{base}/providers/Microsoft.Cdn/profiles/{service}"
        profile = arm.get(path, VERSION)
        inside = _inside(arm, pool, path, service) if profile else ()
        group = above.result()
    resources = [network.resource_group(group, ref)] if group else []
    resources += [_profile(profile), *inside] if profile else []
    return SiteFacts(NAME, "azure", region, arm.subscription, tuple(resources))


def _inside(arm: Arm, pool: ThreadPoolExecutor, path: str, service: str) -> tuple[Resource, ...]:
    endpoint = pool.submit(arm.get, f"{path}/afdEndpoints/{service}", VERSION)
    route = pool.submit(arm.get, f"{path}/afdEndpoints/{service}/routes/{wish.ROUTE_NAME}", VERSION)
    group = pool.submit(arm.get, f"{path}/originGroups/{wish.GROUP_OF_ORIGINS}", VERSION)
    named = pool.submit(arm.list, f"{path}/customDomains", VERSION)
    firewall = pool.submit(arm.get, f"{path}/securityPolicies/{wish.FIREWALL_NAME}", VERSION)
    origins = arm.list(f"{path}/originGroups/{wish.GROUP_OF_ORIGINS}/origins", VERSION) if group.result() else []
    hosts = {str(each["name"]).lower(): str(each["properties"]["hostName"]).lower() for each in named.result()}
    return (
        *_found(endpoint.result(), group.result()),
        *map(_name_found, named.result()),
        *([_firewall_found(guard, hosts)] if (guard := firewall.result()) else []),
        *map(_origin_found, origins),
        *([_route_found(way, hosts)] if (way := route.result()) else []),
    )


def _found(endpoint: Found | None, group: Found | None) -> Iterator[Resource]:
    if endpoint:
        about = endpoint["properties"]
        values: dict[str, Value] = {"enabled": _is_on(about)}
        yield Resource(wish.ENDPOINT, endpoint["name"], values, endpoint["id"], details={"host": about["hostName"]})
    if group:
        yield _group_found(group)


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


def _name_found(item: Found) -> Resource:
    about = item["properties"]
    tls, validation = about.get("tlsSettings") or {}, about.get("validationProperties") or {}
    properties: dict[str, Value] = {
        "certificate": tls.get("certificateType"),
        "least_tls": tls.get("minimumTlsVersion"),
    }
    details: dict[str, Value] = {
        "state": about.get("domainValidationState") or "Unknown",
        "token": validation.get("validationToken") or "",
        "expires": str(validation.get("expirationDate") or "")[:10],
    }
    return Resource(names.KIND, str(about["hostName"]).lower(), properties, item["id"], details=details)


def _firewall_found(policy: Found, hosts: Mapping[str, str]) -> Resource:
    """What a hand let another policy guard is not ours to know."""
    about = policy["properties"].get("parameters") or {}
    parts = about.get("associations") or ()
    before = {_before(str(each["id"]), hosts) for part in parts for each in part.get("domains") or ()}
    properties: dict[str, Value] = {
        "policy": str((about.get("wafPolicy") or {}).get("id", "")).lower(),
        "before": (*sorted(before - {wish.OWN_NAME}), *(before & {wish.OWN_NAME})),
        "patterns": tuple(sorted({str(each) for part in parts for each in part.get("patternsToMatch") or ()})),
    }
    return Resource(wish.FIREWALL, policy["name"], properties, policy["id"])


def _before(path: str, hosts: Mapping[str, str]) -> str:
    kind, _, name = path.lower().rpartition("/")
    return hosts.get(name, name) if kind.endswith("/customdomains") else wish.OWN_NAME


def _route_found(route: Found, hosts: Mapping[str, str]) -> Resource:
    about = route["properties"]
    given = (network.last(str(each["id"])).lower() for each in about.get("customDomains") or ())
    properties: dict[str, Value] = {
        "names": tuple(sorted(hosts.get(name, name) for name in given)),
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
