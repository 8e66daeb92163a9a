"""From a plan to the variables of the role `azure_site`; `meta/argument_specs.yml` of the role says what each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from arriero.clouds.azure import (
    alerts,
    app_variables,
    apps,
    bodies,
    edge_variables,
    files,
    groups,
    identities,
    private_link,
    spares,
    vm_variables,
    vms,
    workspaces,
)
from arriero.clouds.azure.network import NETWORK_VERSION
from arriero.clouds.azure.patience import PATIENCE
from arriero.events import Json
from arriero.plan.firewall import ALL_PORTS, nsg_rule
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, SitePlan, Step, Value
from arriero.plan.wanted import azure as wish
from arriero.plan.wanted import (
    azure_alerts,
    azure_apps,
    azure_edges,
    azure_files,
    azure_identity,
    azure_logs,
    azure_private,
    azure_secrets,
    azure_spares,
    azure_vms,
    storage,
)
from arriero.spec.model import ResolvedSite

LEAST_WAIT_SECONDS = 60
REMOVAL_SECONDS = 900

REMOVAL_ORDER = {
    azure_alerts.ALERT_KIND: ("Insights", "metricAlerts", alerts.ALERT_VERSION),
    azure_alerts.ACTION_KIND: ("Insights", "actionGroups", alerts.ACTION_VERSION),
    azure_spares.POOL_KIND: ("StandbyPool", "standbyContainerGroupPools", spares.VERSION),
    azure_spares.PROFILE_KIND: ("ContainerInstance", "containerGroupProfiles", groups.VERSION),
    wish.GROUP_KIND: ("ContainerInstance", "containerGroups", groups.VERSION),
    azure_edges.APP_KIND: ("App", "containerApps", apps.VERSION),
    azure_edges.ENVIRONMENT_KIND: ("App", "managedEnvironments", apps.VERSION),
    azure_apps.APP_KIND: ("App", "containerApps", apps.VERSION),
    azure_apps.ENVIRONMENT_KIND: ("App", "managedEnvironments", apps.VERSION),
    azure_vms.VM_KIND: ("Compute", "virtualMachines", vms.VERSION),
    azure_vms.INTERFACE_KIND: ("Network", "networkInterfaces", NETWORK_VERSION),
    azure_vms.DISK_KIND: ("Compute", "disks", vms.DISKS_VERSION),
    azure_private.ENDPOINT_KIND: ("Network", "privateEndpoints", NETWORK_VERSION),
    azure_logs.KIND: ("OperationalInsights", "workspaces", workspaces.VERSION),
    "azure.virtual_network": ("Network", "virtualNetworks", NETWORK_VERSION),
    "azure.nat_gateway": ("Network", "natGateways", NETWORK_VERSION),
    "azure.public_ip": ("Network", "publicIPAddresses", NETWORK_VERSION),
    "azure.network_security_group": ("Network", "networkSecurityGroups", NETWORK_VERSION),
}


def site_variables(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """What the role needs to carry out the plan's steps; groups that are there already are not handed over."""
    name, ready_seconds = wish.base_name(site), max(LEAST_WAIT_SECONDS, int(site.deploy.ready_within))
    return {
        "azure_site_steps": [step.name for step in plan.steps],
        "azure_site_name": name,
        "azure_site_location": site.region,
        "azure_site_tags": {SERVICE_TAG: site.service, SITE_TAG: site.name},
        "azure_site_group_tags": {azure_spares.KEPT_TAG: azure_spares.KEPT} if site.spares else {},
        "azure_site_owns_group": _owns_group(found),
        "azure_site_cidr": site.network.cidr,
        "azure_site_subnet": wish.SUBNET,
        "azure_site_subnet_id": _subnet_id(found.account, name),
        "azure_site_subnet_cidr": wish.subnet_prefix(site.network.cidr),
        "azure_site_delegation": _delegation(site),
        "azure_site_rules": _rules(plan),
        **_logs(site),
        **_storage(site, plan, found),
        **private_link.variables(site, plan, found),
        "azure_site_groups": _new_groups(site, plan, found),
        "azure_site_retired_groups": [
            change.name for change in plan.changes if change.action == "remove" and change.kind == wish.GROUP_KIND
        ],
        **edge_variables.variables(site, plan, found),
        **app_variables.variables(plan, found, name, _subnet_id(found.account, name)),
        **vm_variables.variables(plan, found, name, ready_seconds),
        **_alerts(site, plan, found),
        **_spares(site, plan, found),
        "azure_site_ready_seconds": ready_seconds,
        **PATIENCE.variables(int(site.deploy.ready_within)),
    }


def removal_variables(found: SiteFacts, purge: bool) -> dict[str, Json]:
    """What `tasks/remove.yml` needs. With the resource group goes everything in it; one that does not carry our tags
    stays, and only what we put into it goes. The storage of models goes with `purge` only.
    """
    group = found.find("azure.resource_group")
    stored = [r.name for r in (*found.resources, *found.kept) if r.kind == azure_files.GROUP_KIND]
    return {
        "azure_site_name": group.name if group else "",
        "azure_site_owns_group": group is not None and _owns_group(found),
        "azure_site_parts": [] if _owns_group(found) else _parts(found),
        "azure_site_storage_groups": cast(Json, stored if purge else []),
        "azure_site_ready_seconds": REMOVAL_SECONDS,
        **PATIENCE.variables(),
    }


def _owns_group(found: SiteFacts) -> bool:
    """A group that is not there yet will be ours."""
    group = found.find("azure.resource_group")
    return group is None or bool(group.details.get("ours"))


def _parts(found: SiteFacts) -> list[Json]:
    """What is ours in somebody else's resource group, in the order in which Azure lets it go.

    A NAT gateway has no tags (its module sets none): it is ours if it holds our address.
    """
    ours = [r for r in found.resources if r.tags.get(SITE_TAG) == found.site]
    addresses = {r.name for r in ours if r.kind == "azure.public_ip"}
    gateways = [r for r in found.resources if r.kind == "azure.nat_gateway" and r not in ours]
    ours += [r for r in gateways if set(cast("tuple[str, ...]", r.properties["public_ips"])) <= addresses]
    parts: list[Json] = [
        {"provider": provider, "type": kind, "api_version": version, "name": resource.name}
        for our_kind, (provider, kind, version) in REMOVAL_ORDER.items()
        for resource in ours
        if resource.kind == our_kind
    ]
    group = found.find("azure.resource_group")
    base = group.name if group else ""
    return [*parts, *private_link.zone_parts(ours, base), *edge_variables.zone_parts(ours, base)]


def _logs(site: ResolvedSite) -> dict[str, Json]:
    """The workspace to have, if one is asked for. The role asks for its id and its key: no variable holds them."""
    keeping: dict[str, Json] = {"name": wish.base_name(site), "retention_days": site.logs.retention_days}
    return {"azure_site_workspaces": [keeping] if site.has_workspace else []}


def _storage(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """`azure_site_storages` is the storage to have, if one is asked for; `azure_site_seedings` the job that fills it,
    if something is missing there.
    """
    base = wish.base_name(site)
    is_used, account = storage.is_used(site), azure_files.account_name(found.account, base)
    lacks = any(change.kind == azure_files.MODELS_KIND for change in plan.changes)
    place: dict[str, Json] = {
        "group": azure_files.group_name(base),
        "account": account,
        "share": azure_files.SHARE,
        "quota_gib": azure_files.QUOTA_GIB,
        **private_link.access(site, plan, found),
    }
    seeding = _job(site, found, azure_files.seeding(site))
    job: dict[str, Json] = {**seeding, "mark": storage.mark(storage.stored(site))}
    return {
        "azure_site_storages": [place] if is_used else [],
        "azure_site_seedings": [job] if is_used and lacks else [],
        "azure_site_seed_seconds": storage.SEED_SECONDS,
    }


def cleaning_variables(
    site: ResolvedSite, plan: SitePlan, found: SiteFacts, environment: Mapping[str, str], report: str
) -> dict[str, Json]:
    """What the role needs for the job at the site's storage alone; `report` is the file for what it tells."""
    asked = replace(plan, steps=(Step(site.name, storage.CLEAN_STEP, ()),))
    job = _job(site, found, azure_files.cleaning(site, environment))
    return {**site_variables(site, asked, found), "azure_site_cleanings": [{**job, "report": report}]}


def _job(site: ResolvedSite, found: SiteFacts, containers: Mapping[str, Mapping[str, Value]]) -> dict[str, Json]:
    """A group that writes into the storage and ends. All have one name, so that never two of them are at work."""
    base = wish.base_name(site)
    properties: dict[str, Json] = {
        "osType": "Linux",
        "sku": "Standard",
        "restartPolicy": "Never",
        "subnetIds": [{"id": _subnet_id(found.account, base)}],
        "containers": [bodies.container(site, name, each) for name, each in containers.items()],
        "volumes": files.volumes(azure_files.account_name(found.account, base), is_read_only=False)[1:],
    }
    around = azure_identity.around(site)
    if pulling := identities.registries(around):
        properties["imageRegistryCredentials"] = pulling
    tags: Json = {SERVICE_TAG: site.service}
    body: Json = {"location": site.region, "tags": tags, **identities.given(around), "properties": properties}
    return {"name": f"{base}-seed", "body": body}


def _alerts(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """The webhook to call and the rules that call it. The role reads its key from a file: no variable holds it."""
    base = wish.base_name(site)
    kinds = (azure_alerts.ALERT_KIND, azure_alerts.ACTION_KIND)
    gone = {kind: [c.name for c in plan.changes if c.action == "remove" and c.kind == kind] for kind in kinds}
    provider = f"/subscriptions/{found.account}/resourceGroups/{base}/providers"
    rules = [resource for resource in plan.wanted if resource.kind == azure_alerts.ALERT_KIND]
    told = site.alerts
    return {
        "azure_site_webhooks": [{"name": azure_alerts.RECEIVER, "url": told.url, "key_file": told.key_file}]
        if told is not None and any(resource.kind == azure_alerts.ACTION_KIND for resource in plan.wanted)
        else [],
        "azure_site_action_id": f"{provider}/Microsoft.Insights/actionGroups/{base}",
        "azure_site_alerts": [_rule(rule, f"{provider}/{groups.TYPE}") for rule in rules],
        "azure_site_retired_alerts": cast(Json, gone[azure_alerts.ALERT_KIND]),
        "azure_site_retired_actions": cast(Json, gone[azure_alerts.ACTION_KIND]),
    }


def _spares(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """The pool as it should be, and its profile where that has to become another one: each time a new revision."""
    base = wish.base_name(site)
    kinds = (azure_spares.POOL_KIND, azure_spares.PROFILE_KIND)
    subnet, wanted = _subnet_id(found.account, base), {r.kind: r for r in plan.wanted if r.kind in kinds}
    changed = {change.kind for change in plan.changes if change.action != "remove"}
    gone = {kind: [c.name for c in plan.changes if c.action == "remove" and c.kind == kind] for kind in kinds}
    profiles = list[Json]()
    if (profile := wanted.get(azure_spares.PROFILE_KIND)) and profile.kind in changed:
        profiles.append({"name": profile.name, "body": bodies.profile(site, profile)})
    pools = list[Json]()
    if pool := wanted.get(azure_spares.POOL_KIND):
        held = f"/subscriptions/{found.account}/resourceGroups/{base}/providers/{spares.PROFILE_TYPE}/{base}"
        pools.append({"name": pool.name, "profile": base, "body": spares.pool_body(pool, subnet, held)})
    return {
        "azure_site_profiles": profiles,
        "azure_site_pools": pools,
        "azure_site_retired_pools": cast(Json, gone[azure_spares.POOL_KIND]),
        "azure_site_retired_profiles": cast(Json, gone[azure_spares.PROFILE_KIND]),
    }


def _rule(rule: Resource, provider: str) -> dict[str, Json]:
    """In the words of Azure Monitor's API, which `azure_rm_monitormetricalerts` hands on."""
    wanted = cast("Mapping[str, Any]", rule.properties)
    criterion: dict[str, Json] = {
        "criterion_type": "StaticThresholdCriterion",
        "name": "goal",
        "metric_namespace": groups.TYPE,
        "metric_name": wanted["metric"],
        "operator": wanted["operator"],
        "threshold": wanted["threshold"],
        "time_aggregation": "Average",
        "dimensions": [{"name": "containerName", "operator": "Include", "values": [wanted["container"]]}],
    }
    return {
        "name": rule.name,
        "scope": f"{provider}/{wanted['scope']}",
        "window": wanted["window"],
        "frequency": wanted["frequency"],
        "criterion": criterion,
    }


def _delegation(site: ResolvedSite) -> dict[str, Json]:
    """Whom the subnet is given to; nothing where it is given to nobody."""
    service = next(iter(wish.delegations(site)), "")
    return {"name": "environments" if wish.has_apps(site) else "containers", "service": service}


def _rules(plan: SitePlan) -> list[Json]:
    """Those that let somebody in, in the words of `azure_rm_securitygroup`; the role has the one that ends them."""
    guard = next(each for each in plan.wanted if each.kind == "azure.network_security_group")
    rules = {name: nsg_rule(str(line)) for name, line in cast("Mapping[str, Any]", guard.properties["rules"]).items()}
    return [
        {
            "name": name,
            "priority": rule.priority,
            "direction": "Inbound",
            "access": "Allow",
            "protocol": rule.protocol.capitalize(),
            "source_address_prefix": _one_or_many(rule.peers),
            "destination_port_range": _one_or_many(list(map(_span, rule.ports))),
        }
        for name, rule in rules.items()
        if rule.is_allowed
    ]


def _span(ports: tuple[int, int]) -> str:
    return "*" if ports == ALL_PORTS else "-".join(map(str, dict.fromkeys(ports)))


def _one_or_many(values: Sequence[str]) -> Json:
    """Two fields of Azure's API: a list of one would differ from what comes back for ever."""
    return values[0] if len(values) == 1 else list(values)


def _subnet_id(subscription: str, name: str) -> str:
    network = f"/subscriptions/{subscription}/resourceGroups/{name}/providers/Microsoft.Network/virtualNetworks/{name}"
    return f"{network}/subnets/{wish.SUBNET}"


def _new_groups(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> list[Json]:
    new = [r for r in plan.wanted if r.kind == wish.GROUP_KIND and not found.find(wish.GROUP_KIND, r.name)]
    subnet = _subnet_id(found.account, wish.base_name(site))
    return [_body(site, each, subnet) if wish.needs_resource_module(site) else _arguments(each) for each in new]


def _secrets(group: Resource) -> dict[str, Json]:
    """Where the values of a group's secrets are; the role's module reads them, and no variable ever holds one."""
    containers = cast("Mapping[str, Mapping[str, Any]]", group.properties["containers"])
    variables = containers["ollama"].get("secrets", {})
    login = cast("Mapping[str, str]", group.properties.get("login", {}))
    if not variables and not login:
        return {}
    places = [{"container": "ollama", "variable": name, **_place(place)} for name, place in variables.items()]
    return {
        "secrets": cast(Json, places),
        **({"login": {"server": login["server"], **_place(login["secret"])}} if login else {}),
    }


def _place(place: str) -> dict[str, Json]:
    return dict(zip(("vault", "name", "version"), azure_secrets.parts(place), strict=True))


def _arguments(group: Resource) -> dict[str, Json]:
    """A group in the words of `azure_rm_containerinstance`, which knows one registry."""
    containers = cast("Mapping[str, Mapping[str, Any]]", group.properties["containers"])
    pulling = [{"registry": each} for each in identities.registries(group.properties)]
    return {
        "name": group.name,
        "tags": dict(group.tags),
        **(pulling[0] if pulling else {}),
        "containers": [
            {
                "name": name,
                "image": each["image"],
                "commands": list(each["command"]),
                "cpu": each["cpu"],
                "memory": each["memory_gb"],
                "ports": list(each["ports"]),
                "environment_variables": bodies.variables(each["environment"]),
            }
            for name, each in containers.items()
        ],
    }


def _body(site: ResolvedSite, group: Resource, subnet_id: str) -> dict[str, Json]:
    """The same group in Resource Manager's own words, for what the module has no argument for."""
    account = azure_files.account_name(subnet_id.split("/")[2], wish.base_name(site))
    return {
        "name": group.name,
        "tags": dict(group.tags),
        "body": bodies.group(site, group, subnet_id, account),
        **_secrets(group),
    }
