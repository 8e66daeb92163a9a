"""What of the role's variables is of edges: their subnet and zone, the targets to name, their environment and app."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, cast

from arriero.clouds.azure import app_bodies, apps
from arriero.clouds.azure.private_link import DNS_VERSION
from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts, SitePlan, Value
from arriero.plan.wanted import azure as site_wish
from arriero.plan.wanted import azure_edges as wish
from arriero.plan.wanted import edge_settings
from arriero.spec.model import ResolvedSite


def variables(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """The environment and the app only where they are to be made or changed."""
    base = site_wish.base_name(site)
    provider = f"/subscriptions/{found.account}/resourceGroups/{base}/providers"
    wanted = {each.kind: each for each in plan.wanted}
    changed = {change.kind for change in plan.changes if change.action != "remove"}
    replaced = {change.kind for change in plan.changes if change.action == "replace"}
    if wish.ENVIRONMENT_KIND in replaced and found.find(wish.APP_KIND):  # nothing goes in which an app still is
        replaced, changed = replaced | {wish.APP_KIND}, changed | {wish.APP_KIND}
    subnet_id = f"{provider}/Microsoft.Network/virtualNetworks/{base}/subnets/{wish.SUBNET}"
    subnets, zones, records = (wanted.get(kind) for kind in (wish.SUBNET_KIND, wish.ZONE_KIND, wish.RECORDS_KIND))
    around, app = wanted.get(wish.ENVIRONMENT_KIND), wanted.get(wish.APP_KIND)
    environment_id = f"{provider}/{apps.ENVIRONMENTS}/{wish.name(base)}"
    is_linked_elsewhere = any(
        each.kind == wish.ZONE_KIND and each.properties["networks"] not in ((), (base,)) for each in found.resources
    )
    return {
        "azure_site_edge_subnets": [{"name": subnets.name, "cidr": cast(str, subnets.properties["prefix"])}]
        if subnets
        else [],
        "azure_site_target_zones": [zones.name] if zones else [],
        "azure_site_renewed_target_zones": [zones.name] if zones and is_linked_elsewhere else [],
        "azure_site_target_records": [_records(records, base)] if records else [],
        "azure_site_edge_environments": [{"name": around.name, "body": app_bodies.environment(around, subnet_id)}]
        if around and around.kind in changed
        else [],
        "azure_site_edges": [_edges(app, environment_id, found)] if app and app.kind in changed else [],
        "azure_site_edge_names": [app.name] if app else [],
        "azure_site_retired_edges": _gone(plan, wish.APP_KIND),
        "azure_site_retired_edge_environments": _gone(plan, wish.ENVIRONMENT_KIND),
        "azure_site_retired_target_zones": _gone(plan, wish.ZONE_KIND),
        "azure_site_retired_edge_subnets": _gone(plan, wish.SUBNET_KIND),
        "azure_site_replaced_edges": [app.name] if app and app.kind in replaced else [],
        "azure_site_replaced_edge_environments": [around.name] if around and around.kind in replaced else [],
    }


def zone_parts(ours: Collection[Resource], base: str) -> list[Json]:
    """What `clear.yml` takes out of a resource group that is not ours: the zone's link to the network, then it."""
    zones = [resource.name for resource in ours if resource.kind == wish.ZONE_KIND]
    names = [name for zone in zones for name in (f"{zone}/virtualNetworkLinks/{base}", zone)]
    kind = {"provider": "Network", "type": "privateDnsZones", "api_version": DNS_VERSION}
    return [cast(Json, {**kind, "name": name}) for name in names]


def _records(records: Resource, base: str) -> Json:
    return {
        "zone": edge_settings.zone(base),
        "name": records.name,
        "ttl_seconds": cast(int, records.properties["ttl_seconds"]),
        "targets": list(cast("tuple[str, ...]", records.properties["targets"])),
    }


def _edges(app: Resource, environment_id: str, found: SiteFacts) -> Json:
    """`front_door` is for a playbook that has not made one itself. Where none could be made, edges that stand and
    answer everybody go on so.
    """
    standing = found.find(wish.APP_KIND)
    is_open = standing is not None and not standing.details.get("front_door")
    return {
        "name": app.name,
        "front_door": found.front_door or ("" if is_open else wish.NO_DOOR),
        "body": body(app, environment_id),
    }


def body(app: Resource, environment_id: str) -> dict[str, Json]:
    """In Resource Manager's own words: Ansible has no module for container apps."""
    about = cast("Mapping[str, Any]", app.properties)
    least, most = about["replicas"]
    identities: dict[str, Json] = {each: {} for each in about["identities"]}
    return {
        "location": about["location"],
        "tags": dict(app.tags),
        "identity": {"type": "UserAssigned", "userAssignedIdentities": identities},
        "properties": {
            "environmentId": environment_id,
            "workloadProfileName": about["profile"],
            "configuration": {
                "activeRevisionsMode": str(about["revisions"]).capitalize(),
                "ingress": {
                    "external": about["ingress"]["external"],
                    "transport": about["ingress"]["transport"],
                    "targetPort": about["ingress"]["port"],
                    "allowInsecure": about["ingress"]["insecure"],
                    "ipSecurityRestrictions": [
                        {"name": f"client-{index}", "ipAddressRange": each, "action": "Allow"}
                        for index, each in enumerate(about["clients"], 1)
                    ],
                },
                "secrets": [
                    {
                        "name": wish.KEYS_SECRET,
                        "keyVaultUrl": about["keys"]["secret"],
                        "identity": about["keys"]["identity"],
                    }
                ],
                "registries": [{"server": name, "identity": who} for name, who in about["registries"].items()],
            },
            "template": {
                "terminationGracePeriodSeconds": about["stop_seconds"],
                "containers": [_container(about)],
                "scale": {"minReplicas": least, "maxReplicas": most},
            },
        },
    }


def text(settings: Value) -> str:
    """As Terraform's `jsonencode` writes it, so that an export has what stands: no spaces, whole numbers without a
    fraction, and `<`, `>`, `&` escaped.
    """
    told = json.dumps(_whole(wish.as_json(settings)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return told.translate({ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"})


def _whole(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: _whole(value) for key, value in told.items()}
    if isinstance(told, list):
        return list(map(_whole, told))
    return int(told) if isinstance(told, float) and told.is_integer() else told


def _container(about: Mapping[str, Any]) -> Json:
    wanted = about["container"]
    probe = wanted["readiness"]
    return {
        "name": wish.CONTAINER,
        "image": wanted["image"],
        "command": list(wanted["command"]),
        "env": [
            {"name": edge_settings.SETTINGS, "value": text(about["settings"])},
            {"name": edge_settings.KEYS, "secretRef": wish.KEYS_SECRET},
        ],
        "resources": {"cpu": wanted["cpu"], "memory": f"{wanted['memory_gib']:g}Gi"},
        "probes": [
            {
                "type": "Readiness",
                "httpGet": {"path": probe["path"], "port": about["ingress"]["port"], "scheme": "HTTP"},
                "periodSeconds": probe["period"],
                "timeoutSeconds": probe["timeout"],
                "failureThreshold": probe["failures"],
            }
        ],
    }


def _gone(plan: SitePlan, kind: str) -> Json:
    return [change.name for change in plan.changes if change.action == "remove" and change.kind == kind]
