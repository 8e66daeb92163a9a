"""Spares of a site in Azure: container groups that run already and serve nobody, in a standby pool of Azure's. Pure.

A pool makes its groups from a revision of a container group profile, and makes new ones for those that were taken. A
profile knows neither subnet nor tags of a group: the pool has the one, and who takes a group says the others. Both
follow a release once it serves (`order.LATE`), so that one which fails leaves the spares of the release before it. That
a pool may stand there is said by a tag of the resource group, which is read anyway: no other site is asked more.

Limits: https://learn.microsoft.com/azure/container-instances/container-instances-standby-pool-overview, and its FAQ.
"""

from __future__ import annotations

from arriero.errors import Problem, Refused
from arriero.plan.model import RELEASE_TAG, SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.spec.model import ResolvedSite

PROFILE_KIND, POOL_KIND = "azure.spare_profile", "azure.spare_pool"
POOL = "spares"  # a pool's name has 24 characters at most, fewer than a site's may have
KEPT_TAG, KEPT, GONE = "arriero-spares", "kept", "gone"
NEWEST = "newest"


def of_group(site: ResolvedSite) -> dict[str, Value]:
    """What of the resource group is said only where spares are asked for."""
    return {"spares": KEPT} if site.spares else {}


def wanted(site: ResolvedSite, found: SiteFacts, pattern: Resource, count: int) -> tuple[Resource, ...]:
    """The profile and the pool; with no target beside them (off hours) the pool is empty. Raises Refused in a resource
    group that is not ours.
    """
    if not site.spares:
        return ()
    parent = found.find("azure.resource_group")
    if parent is not None and not parent.details.get("ours", True):
        what = f"the resource group {parent.name} is not ours, and a tag of it would have to remember the standby pool"
        raise Refused(
            Problem(what, "remove the line, or let arriero make the group", f"sites.{site.name}.scale.spares")
        )
    tags = {SERVICE_TAG: site.service, SITE_TAG: site.name, RELEASE_TAG: pattern.tags[RELEASE_TAG]}
    profile = {key: value for key, value in pattern.properties.items() if key not in ("subnet", "tags")}
    pool: dict[str, Value] = {
        "location": site.region,
        "ready": site.spares if count else 0,
        "refill": "always",
        "profile": f"{site.service}-{site.name}",
        "revision": NEWEST,
        "subnet": pattern.properties["subnet"],
    }
    return (
        Resource(PROFILE_KIND, f"{site.service}-{site.name}", {**profile, "tags": dict(tags)}, tags=tags),
        Resource(POOL_KIND, POOL, {**pool, "tags": dict(tags)}, tags=tags),
    )


def notes(site: ResolvedSite) -> list[str]:
    if not site.spares:
        return []
    return [
        "scale.spares: Azure fills its standby pool only where the subscription has the provider Microsoft.StandbyPool "
        "and its own service principal needs the roles that docs/permissions.md names"
    ]
