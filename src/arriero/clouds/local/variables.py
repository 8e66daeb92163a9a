"""From a plan to the variables of the role `local_site`; `meta/argument_specs.yml` of the role says what each is."""

from __future__ import annotations

import os
import sys
from typing import cast

from arriero.events import Json
from arriero.plan.model import SERVICE_TAG, Resource, SiteFacts, SitePlan
from arriero.spec.model import ResolvedSite

_LEAST_WAIT_SECONDS = 60


def site_variables(site: ResolvedSite, plan: SitePlan, found: SiteFacts) -> dict[str, Json]:  # noqa: ARG001 - contract
    """What the role needs: the servers that the plan starts, and the names of those that it ends."""
    started = {change.name for change in plan.changes if change.action in ("create", "update", "replace")}
    return {
        "local_site_steps": [step.name for step in plan.steps],
        "local_site_service": site.service,
        "local_site_name": site.name,
        "local_site_command": [os.environ.get("ARRIERO_OLLAMA") or "ollama", "serve"],
        "local_site_servers": [
            {
                "name": server.name,
                "host": cast(Json, server.properties["host"]),
                "environment": cast(Json, server.properties["environment"]),
                "sidecar": _sidecar(server),
                "tags": dict(server.tags),
            }
            for server in plan.wanted
            if server.name in started
        ],
        "local_site_models": [model.name for model in site.models],
        "local_site_preload": site.ollama.keep_alive == "forever",
        "local_site_stop_seconds": int(site.deploy.stop_within),
        "local_site_ready_seconds": max(_LEAST_WAIT_SECONDS, int(site.deploy.ready_within)),
        "local_site_gone": [change.name for change in plan.changes if change.action == "remove"],
    }


def _sidecar(server: Resource) -> Json:
    """This very program in its other role; nothing where the site wants none."""
    environment = server.properties["sidecar"]
    if environment is None:
        return {}
    return {"command": [sys.executable, "-m", "arriero.gateway", "sidecar"], "environment": cast(Json, environment)}


def removal_variables(found: SiteFacts, purge: bool) -> dict[str, Json]:  # noqa: ARG001 - the contract of clouds
    """What `tasks/remove.yml` needs. Models stay: they are this machine's user's, not the site's."""
    service = next((r.tags[SERVICE_TAG] for r in found.resources), "")
    return {
        "local_site_service": service,
        "local_site_name": found.site,
        "local_site_gone": [server.name for server in found.resources],
    }
