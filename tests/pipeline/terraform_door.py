"""Reads what a module says of a Front Door, in the plan's words, as `terraform_module.py` reads the rest.

What it leads to is known to the clouds alone: tfparse tells whose it is.
"""

from __future__ import annotations

from terraform_blocks import Module, Read, Values, done, many

from arriero.plan import front_door_names as names

PROFILE, GROUP, ENDPOINT = (
    f"azurerm_cdn_frontdoor_{each}.front_door" for each in ("profile", "origin_group", "endpoint")
)


def azure_front_door(module: Module) -> Read:
    for _, profile in module.of("azurerm_cdn_frontdoor_profile"):
        assert profile.pop("resource_group_name") == f"{profile['name']}-front-door"
        tags = profile.pop("tags")
        properties = {
            "sku": profile.pop("sku_name"),
            "response_seconds": profile.pop("response_timeout_seconds"),
            "tags": tags,
        }
        yield "azure.front_door", profile.pop("name"), properties, tags
        done(profile)
    for _, endpoint in module.of("azurerm_cdn_frontdoor_endpoint"):
        assert endpoint.pop("cdn_frontdoor_profile_id") == PROFILE
        yield "azure.front_door_endpoint", endpoint.pop("name"), {"enabled": endpoint.pop("enabled")}, {}
        done(endpoint)
    for _, group in module.of("azurerm_cdn_frontdoor_origin_group"):
        assert group.pop("cdn_frontdoor_profile_id") == PROFILE
        yield "azure.origin_group", group.pop("name"), _group(group), {}
        done(group)
    for _, name in module.of("azurerm_cdn_frontdoor_custom_domain"):
        assert name.pop("cdn_frontdoor_profile_id") == PROFILE
        assert name.pop("name") == names.resource_name(name["host_name"])
        [tls] = many(name, "tls")
        properties = {"certificate": tls["certificate_type"], "least_tls": tls["minimum_tls_version"]}
        yield "azure.front_door_name", name.pop("host_name"), properties, {}
        done(name)
    for _, policy in module.of("azurerm_cdn_frontdoor_security_policy"):
        assert policy.pop("cdn_frontdoor_profile_id") == PROFILE
        yield "azure.front_door_firewall", policy.pop("name"), _firewall(policy, module), {}
        done(policy)
    origins = []
    for address, origin in module.of("azurerm_cdn_frontdoor_origin"):
        origins.append(address)
        assert origin.pop("cdn_frontdoor_origin_group_id") == GROUP
        properties = _origin(origin, module)
        yield "azure.origin", origin.pop("name"), properties, {}
        done(origin)
    for _, route in module.of("azurerm_cdn_frontdoor_route"):
        assert route.pop("cdn_frontdoor_endpoint_id") == ENDPOINT
        assert route.pop("cdn_frontdoor_origin_ids") == origins
        yield "azure.route", route.pop("name"), _route(route, module), {}
        done(route)


def _firewall(policy: Values, module: Module) -> Values:
    [policies] = many(policy, "security_policies")
    [firewall] = many(policies, "firewall")
    [association] = many(firewall, "association")
    domains = [each["cdn_frontdoor_domain_id"] for each in many(association, "domain")]
    before = ["its own name" if each == ENDPOINT else module.known[each]["host_name"] for each in domains]
    policy_id = firewall["cdn_frontdoor_firewall_policy_id"]
    assert "/resourceGroups/" in policy_id
    return {"policy": policy_id.lower(), "before": before, "patterns": association["patterns_to_match"]}


def _group(group: Values) -> Values:
    [probe], [samples] = many(group, "health_probe"), many(group, "load_balancing")
    return {
        "probe": {
            "path": probe["path"],
            "protocol": probe["protocol"],
            "request": probe["request_type"],
            "interval": probe["interval_in_seconds"],
        },
        "samples": {
            "size": samples["sample_size"],
            "successful": samples["successful_samples_required"],
            "latency_ms": samples["additional_latency_in_milliseconds"],
        },
        "is_sticky": group.pop("session_affinity_enabled"),
    }


def _origin(origin: Values, module: Module) -> Values:
    label, checks = origin["name"].replace("-", "_"), origin.pop("certificate_name_check_enabled")
    host, header = origin.pop("host_name"), origin.pop("origin_host_header")
    if checks:
        around = module.known[f"azapi_resource.{label}_edge_environment"]["name"]
        assert host == header == f"{around}.domain.of.azapi_resource.{label}_edge_environment"
    else:
        assert host["__attribute__"] == f"aws_lb.{label}.dns_name"
    return {
        "checks_name": checks,
        "port": origin.pop("https_port"),
        "priority": origin.pop("priority"),
        "weight": origin.pop("weight"),
        "enabled": origin.pop("enabled"),
        **({} if checks else {"host_header": header}),
    }


def _route(route: Values, module: Module) -> Values:
    given = route.pop("cdn_frontdoor_custom_domain_ids", [])
    route.pop("depends_on", None)
    return {
        "names": [module.known[each]["host_name"] for each in given],
        "origins": module.known[route.pop("cdn_frontdoor_origin_group_id")]["name"],
        "patterns": route.pop("patterns_to_match"),
        "protocols": sorted(route.pop("supported_protocols")),
        "redirects": route.pop("https_redirect_enabled"),
        "forwards": route.pop("forwarding_protocol"),
        "is_default": route.pop("link_to_default_domain"),
        "caches": bool(route.pop("cache", None)),
        "enabled": route.pop("enabled"),
    }
