"""What the role is told of any ECS service: its task definition with ARNs, and what its modules can't find out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts
from arriero.plan.wanted import aws as wish
from arriero.spec.model import ResolvedSite

# Of a service's properties, those that `ecs_service` does not compare.
NOT_COMPARED = ("capacity_providers", "deployment", "network", "load_balancers", "grace_seconds")


def with_role_arns(document: Mapping[str, Any], site: ResolvedSite, found: SiteFacts) -> dict[str, Json]:
    prefix = f"arn:{wish.partition(site.region)}:iam::{found.account}:role"
    roles = {key: f"{prefix}{document[key]}" for key in ("executionRoleArn", "taskRoleArn") if key in document}
    return {**document, **roles}


def service_found(wanted: Resource, there: Resource | None) -> dict[str, Json]:
    """What `ecs_service` can't find out by itself. A new service hands its tags on; one that stands keeps its way."""
    if there is None or there.properties["status"] != "ACTIVE":
        return {"is_there": False, "differs": False, "has_failed": False, "propagate_tags": "SERVICE"}
    return {
        "is_there": True,
        "differs": any(there.properties[name] != wanted.properties[name] for name in NOT_COMPARED),
        "has_failed": there.properties["rollout"] == "failed",
        "propagate_tags": cast(str, there.details["propagate_tags"]),
    }
