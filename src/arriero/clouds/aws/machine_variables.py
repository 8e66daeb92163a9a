"""The variables of the role `aws_site` that are about the machines of a site with GPUs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from arriero.events import Json
from arriero.plan.model import Resource, SiteFacts, SitePlan, Value
from arriero.plan.wanted import aws_gpu, aws_managed
from arriero.plan.wanted.aws import partition
from arriero.spec.model import ResolvedSite


def machines(plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    """`aws_site_machines` has one entry, the machines as they are wished for, where an autoscaling group has them;
    `aws_site_managed_machines` where ECS keeps them by itself. A site on Fargate has none of both.
    """
    wanted = {resource.kind: resource for resource in plan.wanted}
    profile = wanted.get(aws_gpu.PROFILE)
    base = profile.name.removesuffix(aws_gpu.role_name("")) if profile else ""
    security = found.find("aws.security_group", aws_gpu.group_name(base))
    return {
        "aws_site_machines": [_own(wanted)] if aws_gpu.GROUP in wanted else [],
        "aws_site_managed_machines": [_managed(wanted, plan, found)] if aws_managed.PROVIDER in wanted else [],
        "aws_site_machine_profiles": [profile.name] if profile else [],
        "aws_site_machine_group_id": security.id if security else "",
    }


def roles(site: ResolvedSite, prefix: str) -> list[tuple[str, tuple[str, ...], Mapping[str, Value]]]:
    """Of the machines' roles the name, the ARNs of AWS's own policies, and who may take it."""
    if site.gpu is None:
        return []
    base = f"{site.service}-{site.name}"
    if not site.gpu.is_managed:
        return [(aws_gpu.role_name(base), (f"{prefix}{aws_gpu.POLICY}",), aws_gpu.trust())]
    having = (f"{prefix}{aws_managed.INFRASTRUCTURE_POLICY}",)
    return [
        (aws_gpu.role_name(base), (f"{prefix}{aws_managed.POLICY}",), aws_gpu.trust()),
        (aws_managed.infrastructure_name(base), having, aws_managed.trust()),
    ]


def _own(wanted: Mapping[str, Resource]) -> dict[str, Json]:
    template, group, provider = (wanted[kind] for kind in (aws_gpu.TEMPLATE, aws_gpu.GROUP, aws_gpu.PROVIDER))
    own = cast("Mapping[str, Any]", template.properties)
    kept = ("machine", "image", "profile", "user_data", "metadata_tokens", "disk", "public_ip")
    return {
        "name": template.name,
        "provider": provider.name,
        **{key: cast(Json, own[key]) for key in kept},
        **{key: cast(Json, group.properties[key]) for key in ("version", "min", "max")},
        "target": cast("Mapping[str, Json]", provider.properties["scaling"])["target"],
    }


def _managed(wanted: Mapping[str, Resource], plan: SitePlan, found: SiteFacts) -> dict[str, Json]:
    provider, path = wanted[aws_managed.PROVIDER], str(wanted[aws_gpu.PROFILE].properties["path"])
    account = f"arn:{partition(plan.region or found.region)}:iam::{found.account}"
    wish = cast("Mapping[str, Any]", provider.properties)
    told = aws_managed.configuration(wish, f"{account}:role{path}", f"{account}:instance-profile{path}")
    return {"name": provider.name, "configuration": cast(Json, told)}


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
        "managed_machines": [
            {"name": r.name, "cluster": cast(str, r.properties["cluster"])}
            for r in resources
            if r.kind == aws_managed.PROVIDER
        ],
    }
