"""What an Azure site holds, read side by side: one round of requests, and one more for the groups' states; for a site
with a private endpoint one more for that. A site with GPUs has container apps or virtual machines in place of groups.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from arriero.clouds.azure import (
    alerts,
    apps,
    edges,
    files,
    groups,
    network,
    private_link,
    spares,
    vaults,
    vms,
    workspaces,
)
from arriero.clouds.azure.connection import Arm, Found, connect
from arriero.clouds.azure.errors import door
from arriero.errors import Problem
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, SiteRef, TargetFacts

SUBSCRIPTION_VERSION = RESOURCES_VERSION = network.GROUPS_VERSION

READERS: Mapping[str, Callable[[Found], Resource]] = {
    "networkSecurityGroups": network.security_group,
    "publicIPAddresses": network.public_ip,
    "natGateways": network.nat_gateway,
    "virtualNetworks": network.virtual_network,
}


def account() -> str:
    """The subscription that the login leads to, as Azure itself names it. Raises CloudError."""
    with door(""):
        found = connect().get("", SUBSCRIPTION_VERSION)
        return str(found["subscriptionId"]) if found else ""


def read_site(ref: SiteRef) -> SiteFacts:
    """Everything of the site, its container groups with their states. Raises CloudError with a remedy.

    A resource group of that name in another region is a problem of the site: it can be neither used nor moved.
    """
    with door(ref.site, ref.region), ThreadPoolExecutor(max_workers=8, thread_name_prefix="azure") as pool:
        arm, name = connect(), f"{ref.service}-{ref.site}"
        parent = pool.submit(arm.get, f"/resourceGroups/{name}", network.GROUPS_VERSION)
        parts = {path: pool.submit(arm.get, _path(name, path), network.NETWORK_VERSION) for path in READERS}
        told, ready = pool.submit(alerts.read, arm, ref), pool.submit(spares.read, arm, ref, parent)
        versions = {each: pool.submit(vaults.connect().newest, each) for each in ref.secrets}
        storage = files.read(arm, ref, pool)
        given = pool.submit(private_link.given, arm, ref)
        logs = pool.submit(workspaces.read, arm, ref) if ref.has_workspace else None
        there, items = _standing(arm, ref, pool, parts["virtualNetworks"])
        link = private_link.read(arm, ref, pool, parts["virtualNetworks"].result())
        gateways = edges.read(arm, ref, pool, parts["virtualNetworks"].result())
        # One that the spec asks for no more is looked for only while a group writes there.
        is_written = any(workspaces.id_in(item["properties"]) for item in items)
        workspace = logs.result() if logs else workspaces.read(arm, ref) if is_written else None
        resources = [network.resource_group(found, ref)] if (found := parent.result()) else []
        resources += [READERS[path](item) for path, future in parts.items() if (item := future.result())]
        resources += link.resources() if link else ()
        resources += gateways.resources(items) if gateways else ()
        resources += [workspaces.as_resource(workspace)] if workspace else []
        stored, watching, kept_ready = storage.resources(ref), told.result(), ready.result()
        known = {workspaces.id_of(workspace): str(workspace["name"])} if workspace else {}
    is_in_use = bool(resources)
    return SiteFacts(
        site=ref.site,
        cloud="azure",
        region=ref.region,
        account=arm.subscription,
        resources=(
            *resources,
            *(stored if is_in_use else ()),
            *(groups.as_resource(item, known) for item in items),
            *(there.resources() if there else ()),
            *watching,
            *kept_ready,
        ),
        targets=there.targets(ref) if there else tuple(groups.as_target(item, ref) for item in items),
        count=there.count if there else groups.live_count(items),
        problem=_elsewhere(resources, ref),
        kept=() if is_in_use else stored,
        given=given.result(),
        secrets={reference: version.result() for reference, version in versions.items()},
    )


def read_targets(ref: SiteRef) -> tuple[TargetFacts, ...]:
    """The site's targets only: one listing, and one request a group, side by side. Raises CloudError."""
    with door(ref.site, ref.region), ThreadPoolExecutor(max_workers=8, thread_name_prefix="azure") as pool:
        if ref.virtual:
            return vms.read_targets(connect(), ref, pool)
        if ref.machines:
            return apps.read(connect(), ref, pool).targets(ref)
        return tuple(groups.as_target(item, ref) for item in group_items(connect(), ref, pool))


def other_sites(service: str, known: Collection[str]) -> tuple[SiteRef, ...]:
    """Sites of the service that only their tags remember, sought over the whole subscription. Raises CloudError."""
    with door(""):
        arm, query = connect(), {"$filter": f"tagName eq '{SERVICE_TAG}' and tagValue eq '{service}'"}
        found = [*arm.list("/resourcegroups", network.GROUPS_VERSION, **query)]
        found += arm.list("/resources", RESOURCES_VERSION, **query)
    regions = {item["tags"][SITE_TAG]: item["location"] for item in reversed(found) if SITE_TAG in item["tags"]}
    return tuple(SiteRef(service, site, "azure", regions[site]) for site in sorted(regions) if site not in known)


def group_items(arm: Arm, ref: SiteRef, pool: ThreadPoolExecutor) -> list[Found]:
    """The site's container groups, by name. The listing leaves out instanceView, so each is asked for by itself."""
    name = f"{ref.service}-{ref.site}"
    listed = arm.list(f"/resourceGroups/{name}/providers/{groups.TYPE}", groups.VERSION)
    if not listed:
        _ask_region(arm, ref)
    names = sorted(item["name"] for item in listed if groups.is_ours(item, ref))
    paths = [f"/resourceGroups/{name}/providers/{groups.TYPE}/{each}" for each in names]
    return [item for item in pool.map(lambda path: arm.get(path, groups.VERSION), paths) if item]


def items_of(ref: SiteRef) -> list[Found]:
    """The same for who asks for nothing else. Raises as azure-core does."""
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="groups") as pool:
        return group_items(connect(), ref, pool)


def _standing(
    arm: Arm, ref: SiteRef, pool: ThreadPoolExecutor, around: Future[Found | None]
) -> tuple[apps.Apps | vms.Machines | None, list[Found]]:
    """The site's apps or machines, or its groups. What stands decides, not what the spec asks for, which may be
    refused: so the others are read where the site's network says that they are there.
    """
    asked: network.Stands = "machines" if ref.virtual else "apps" if ref.machines else "groups"
    found = _read_standing(arm, ref, pool, asked)
    stands = network.stands_for(around.result()) or asked
    return found if stands == asked else _read_standing(arm, ref, pool, stands)


def _read_standing(
    arm: Arm, ref: SiteRef, pool: ThreadPoolExecutor, what: network.Stands
) -> tuple[apps.Apps | vms.Machines | None, list[Found]]:
    if what == "machines":
        return vms.read(arm, ref, pool), []
    return (apps.read(arm, ref, pool), []) if what == "apps" else (None, group_items(arm, ref, pool))


def _ask_region(arm: Arm, ref: SiteRef) -> None:
    """Resource Manager is global and knows of a missing resource group while the region is down. Its Container
    Instances tell what of their quotas is used, which only the region itself can answer: then nothing is there indeed.
    """
    arm.get(f"/providers/Microsoft.ContainerInstance/locations/{ref.region}/usages", groups.VERSION)


def _path(name: str, collection: str) -> str:
    return f"/resourceGroups/{name}/providers/Microsoft.Network/{collection}/{name}"


def _elsewhere(resources: Collection[Resource], ref: SiteRef) -> Problem | None:
    group = next((r for r in resources if r.kind == "azure.resource_group"), None)
    there = group.properties["location"] if group else ref.region
    if there == ref.region:
        return None
    return Problem(
        f"its resource group {ref.service}-{ref.site} is in {there}, and Azure can't move it to {ref.region}",
        "give the site another name; or put the region back, run `arriero down` for the site, and then change it",
    )
