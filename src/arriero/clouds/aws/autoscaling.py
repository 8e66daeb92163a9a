"""What Application Auto Scaling holds for a site's ECS services, read into Resources.

Nothing of it is found by tags: it hangs on a service by the service's own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from arriero.clouds.aws.ecs import Service, labels_of
from arriero.plan.model import Resource, SiteRef, Value
from arriero.plan.wanted import aws_scaling as wish

Found = Mapping[str, Any]


def read(scaling: Any, ref: SiteRef, services: Iterable[Service]) -> tuple[Resource, ...]:
    """One Resource for each service that may be scaled: one call, and two more for each of those."""
    cluster = f"{ref.service}-{ref.site}"
    tags = {str(each.found["serviceName"]): labels_of(each.definition) for each in services}
    ids = {wish.resource_id(cluster, name): name for name in {cluster: {}, **tags}}
    asked: dict[str, Any] = {"ServiceNamespace": "ecs", "ScalableDimension": wish.DIMENSION}
    targets = scaling.describe_scalable_targets(ResourceIds=list(ids), **asked)["ScalableTargets"]
    return tuple(
        _resource(scaling, target, ids[target["ResourceId"]], tags.get(ids[target["ResourceId"]], {}), asked)
        for target in targets
    )


def _resource(scaling: Any, target: Found, service: str, tags: Mapping[str, str], asked: Mapping[str, Any]) -> Resource:
    here = {**asked, "ResourceId": target["ResourceId"]}
    policies = scaling.get_paginator("describe_scaling_policies").paginate(**here)
    actions = scaling.get_paginator("describe_scheduled_actions").paginate(**here)
    told = target.get("SuspendedState") or {}
    properties: dict[str, Value] = {
        "min": target["MinCapacity"],
        "max": target["MaxCapacity"],
        "suspended": tuple(sorted(word for flag, word in wish.SUSPENDABLE.items() if told.get(flag))),
        "policies": {
            _own(each["PolicyName"], service): wish.normal_form(each)
            for page in policies
            for each in page["ScalingPolicies"]
        },
        "scheduled": {
            _own(each["ScheduledActionName"], service): _action(each)
            for page in actions
            for each in page["ScheduledActions"]
        },
    }
    return Resource(wish.KIND, service, properties, target["ResourceId"], tags)


def _own(name: str, service: str) -> str:
    """By what it is for; somebody else's keeps its name."""
    return name.removeprefix(f"{service}-")


def _action(found: Found) -> Mapping[str, Value]:
    bounds = found.get("ScalableTargetAction") or {}
    return {
        "at": found["Schedule"],
        "zone": found.get("Timezone") or "UTC",
        "min": bounds.get("MinCapacity"),
        "max": bounds.get("MaxCapacity"),
    }
