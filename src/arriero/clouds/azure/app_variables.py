"""What of the role's variables is of container apps: their environment, and the apps to make and to delete."""

from __future__ import annotations

from typing import cast

from arriero.clouds.azure import app_bodies, apps
from arriero.events import Json
from arriero.plan.model import SiteFacts, SitePlan
from arriero.plan.wanted.azure_apps import APP_KIND, ENVIRONMENT_KIND, free_ports


def variables(plan: SitePlan, found: SiteFacts, base: str, subnet_id: str) -> dict[str, Json]:
    """The environment only where it is to be made or changed; each new app has the next free port there."""
    group = f"/subscriptions/{found.account}/resourceGroups/{base}/providers"
    changed = {change.kind for change in plan.changes if change.action != "remove"}
    environments = [each for each in plan.wanted if each.kind == ENVIRONMENT_KIND and each.kind in changed]
    new = [each for each in plan.wanted if each.kind == APP_KIND and not found.find(APP_KIND, each.name)]
    taken = {port for each in found.resources if isinstance(port := each.details.get("port"), int)}
    ports = dict(zip((each.name for each in new), free_ports(taken, len(new)), strict=True))
    environment_id = f"{group}/{apps.ENVIRONMENTS}/{base}"
    gone = [change.name for change in plan.changes if change.action == "remove" and change.kind == APP_KIND]
    return {
        "azure_site_environments": [
            {"name": each.name, "body": app_bodies.environment(each, subnet_id)} for each in environments
        ],
        "azure_site_apps": [
            {"name": each.name, "body": app_bodies.app(each, environment_id, ports[each.name])} for each in new
        ],
        "azure_site_retired_apps": cast(Json, gone),
    }
