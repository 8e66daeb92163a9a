"""ECS Service Auto Scaling in the words of the provider hashicorp/aws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.pipeline.terraform.hcl import Blocks, Body, Expression, Raw
from arriero.pipeline.terraform.piece import Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import aws_scaling as wish
from arriero.plan.wanted.aws import base_name

CLOCK_NOTE = "The provider imports no scheduled action; apply writes the one of this name anew."


def scaling(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """The target, its policies, and what it does by the clock: with that, the bounds change every night."""
    for resource in resources:
        yield from _one(site, resource, cast("Mapping[str, Any]", resource.properties))


def _one(site: Site, resource: Resource, wanted: Mapping[str, Any]) -> Iterator[Piece]:
    standing = site.standing(resource)
    identity = f"ecs/{wish.resource_id(base_name(site.spec), resource.name)}/{wish.DIMENSION}"
    suspended: Mapping[str, Expression] = {
        _snake(flag): word in wanted["suspended"] for flag, word in wish.SUSPENDABLE.items()
    }
    bounds = Blocks(({"ignore_changes": [Raw("min_capacity"), Raw("max_capacity")]},) if wanted["scheduled"] else ())
    body: Body = {
        "provider": Raw(f"aws.{site.label}"),
        "service_namespace": "ecs",
        "scalable_dimension": wish.DIMENSION,
        "resource_id": f"service/{base_name(site.spec)}/{resource.name}",
        "min_capacity": wanted["min"],
        "max_capacity": wanted["max"],
        "suspended_state": Blocks((suspended,)),
        "depends_on": [Raw(f"aws_ecs_service.{site.label}")],
        "lifecycle": bounds,
    }
    yield Piece("aws_appautoscaling_target", site.label, body, {"": identity} if standing else {})
    held = cast("Mapping[str, Any]", standing.properties["policies"]) if standing else {}
    for name, policy in wanted["policies"].items():
        called = wish.policy_name(resource.name, name)
        there = {"": f"{identity}/{called}"} if name in held else {}
        yield Piece("aws_appautoscaling_policy", f"{site.label}_{name}", _policy(site, called, policy), there)
    for number, (name, action) in enumerate(wanted["scheduled"].items(), 1):
        called = wish.policy_name(resource.name, name)
        yield Piece(
            "aws_appautoscaling_scheduled_action",
            f"{site.label}_{number}",
            {
                **_tied(site, called),
                "schedule": action["at"],
                "timezone": action["zone"],
                "scalable_target_action": Blocks(({"min_capacity": action["min"], "max_capacity": action["max"]},)),
            },
            {},
            CLOCK_NOTE,
        )


def _policy(site: Site, name: str, policy: Mapping[str, Any]) -> Body:
    told = wish.configuration(policy)
    return {
        **_tied(site, name),
        "policy_type": policy["type"],
        "target_tracking_scaling_policy_configuration": Blocks(
            (
                {
                    "target_value": told["TargetValue"],
                    "scale_out_cooldown": told["ScaleOutCooldown"],
                    "scale_in_cooldown": told["ScaleInCooldown"],
                    "disable_scale_in": told["DisableScaleIn"],
                    **_metric(told),
                },
            )
        ),
    }


def _metric(told: Mapping[str, Any]) -> Body:
    custom = told.get("CustomizedMetricSpecification")
    if custom is None:
        kind = told["PredefinedMetricSpecification"]["PredefinedMetricType"]
        return {"predefined_metric_specification": Blocks(({"predefined_metric_type": kind},))}
    named = {
        "metric_name": custom["MetricName"],
        "namespace": custom["Namespace"],
        "statistic": custom["Statistic"],
        "dimensions": Blocks(tuple({"name": each["Name"], "value": each["Value"]} for each in custom["Dimensions"])),
    }
    return {"customized_metric_specification": Blocks((named,))}


def _tied(site: Site, name: str) -> Body:
    target = f"aws_appautoscaling_target.{site.label}"
    fields = ("service_namespace", "scalable_dimension", "resource_id")
    return {"provider": Raw(f"aws.{site.label}"), "name": name, **{each: Raw(f"{target}.{each}") for each in fields}}


def _snake(flag: str) -> str:
    """`DynamicScalingInSuspended` -> `dynamic_scaling_in_suspended`."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in flag).removeprefix("_")
