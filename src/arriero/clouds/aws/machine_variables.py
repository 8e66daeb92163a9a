"""The variables of the role `aws_site` that are about the machines of a site with GPUs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws_gpu


def machines(plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """`aws_site_machines` has one entry, the machines as they are wished for; none of a site on Fargate."""
    wanted = {resource.kind: resource for resource in plan.wanted}
    if aws_gpu.GROUP not in wanted:
        return {"aws_site_machines": [], "aws_site_machine_group_id": ""}
    template, group, provider = (wanted[kind] for kind in (aws_gpu.TEMPLATE, aws_gpu.GROUP, aws_gpu.PROVIDER))
    own = cast("Mapping[str, Any]", template.properties)
    kept = ("machine", "image", "profile", "user_data", "metadata_tokens", "disk", "public_ip")
    security = found.find("aws.security_group", aws_gpu.group_name(template.name))
    return {
        "aws_site_machines": [
            {
                "name": template.name,
                "provider": provider.name,
                **{key: cast(Json, own[key]) for key in kept},
                **{key: cast(Json, group.properties[key]) for key in ("version", "min", "max")},
                "target": cast("Mapping[str, Json]", provider.properties["scaling"])["target"],
            }
        ],
        "aws_site_machine_group_id": security.id if security else "",
    }


def gone(resources: Collection[Resource]) -> dict[str, Json]:
    """What of them is to be removed."""
    named = {"autoscaling_groups": aws_gpu.GROUP, "launch_templates": aws_gpu.TEMPLATE}
    named |= {"instance_profiles": aws_gpu.PROFILE}
    return {
        **{key: cast(Json, [r.name for r in resources if r.kind == kind]) for key, kind in named.items()},
        "capacity_providers": [
            {"name": r.name, "cluster": r.name.removeprefix(aws_gpu.PROVIDER_PREFIX)}
            for r in resources
            if r.kind == aws_gpu.PROVIDER
        ],
    }
