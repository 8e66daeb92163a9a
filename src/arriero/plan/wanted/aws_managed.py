"""What a site holds besides whose machines ECS keeps by itself: ECS Managed Instances.

A capacity provider of the site's cluster says what a machine must be; ECS starts one where a task waits, with an image
of its own (Bottlerocket), ends it when it is idle, and has it replaced 14 to 21 days after its start. So there is
neither launch template nor autoscaling group. The one type that the plan reckons with is allowed, and no other: of
several nobody could say beforehand what they cost.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ManagedInstances.html, .../managed-instances-patching.html,
.../managed-instances-instance-types.html; the role's policy: .../managed-instances-instance-profile.html
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from arriero.cost import machine
from arriero.plan.model import Resource, Value
from arriero.plan.wanted import aws_gpu
from arriero.spec.model import ResolvedSite

PROVIDER = "aws.managed_machines"
# What the machine may do, and what ECS may do to have machines. The latter passes on roles called `ecsInstanceRole…`
# only, without a path, so that it gets the machine's own by a policy of ours.
POLICY = "AmazonECSInstanceRolePolicyForManagedInstances"
INFRASTRUCTURE_POLICY = "AmazonECSInfrastructureRolePolicyForManagedInstances"
PASSING = "pass-machine-role"
# Replacing a task leaves its machine idle for less.
IDLE_SECONDS = 300


def provider_name(base: str) -> str:
    """A name may begin with neither aws, ecs nor fargate, and a service may be called so."""
    return f"{aws_gpu.MANAGED_PREFIX}{base}"


def infrastructure_name(base: str) -> str:
    """The role by which ECS starts and ends machines."""
    return f"{base}-infra"


def trust() -> Mapping[str, Value]:
    return {"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}


def infrastructure_policies(base: str, path: str) -> Mapping[str, Value]:
    """Its own policies, by name: it hands machines their role, and no other."""
    passing: Mapping[str, Value] = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": f"arn:*:iam::*:role{path}{aws_gpu.role_name(base)}",
        "Condition": {"StringLike": {"iam:PassedToService": "ec2.*"}},
    }
    return {PASSING: {"Version": "2012-10-17", "Statement": (passing,)}}


def roles(base: str, path: str, tags: Mapping[str, str]) -> tuple[Resource, ...]:
    """The machine's role with its profile, as of other machines, and the one by which ECS has machines."""
    own: dict[str, Value] = {
        "path": path,
        "trust": (trust(),),
        "policies": (INFRASTRUCTURE_POLICY,),
        "inline_policies": infrastructure_policies(base, path),
    }
    infrastructure = Resource("aws.role", infrastructure_name(base), own, tags=tags)
    return (*aws_gpu.role(base, path, tags, POLICY), infrastructure)


def wanted(site: ResolvedSite, base: str, tags: Mapping[str, str], subnets: tuple[str, ...]) -> tuple[Resource, ...]:
    """`subnets` are the names of those that targets stand in."""
    provider: dict[str, Value] = {
        "cluster": base,
        "infrastructure_role": infrastructure_name(base),
        "profile": aws_gpu.role_name(base),
        "capacity": "ON_DEMAND",
        "requirements": requirements(site),
        "disk_gib": machine.disk_gib(site, machine.chosen(site)),
        "subnets": tuple(sorted(subnets)),
        "security_groups": (aws_gpu.group_name(base),),
        "monitoring": "BASIC",
        "idle_seconds": IDLE_SECONDS,
        "hands_tags_on": True,
    }
    return (Resource(PROVIDER, provider_name(base), provider, tags=tags),)


def requirements(site: ResolvedSite) -> Mapping[str, Value]:
    """What a machine must have, in ECS's words, its lists sorted: all that one target takes, and be of the type that
    the plan names.
    """
    gpu = site.gpu
    if gpu is None:
        return {}
    chosen = machine.chosen(site)
    return {
        "vCpuCount": {"min": ceil(float(site.size.cpu))},
        "memoryMiB": {"min": int(site.size.memory / 2**20)},
        "acceleratorTypes": ("gpu",),
        "acceleratorManufacturers": ("nvidia",),
        "acceleratorNames": (chosen.gpu.lower(),),
        "acceleratorCount": {"min": gpu.count},
        "allowedInstanceTypes": (chosen.name,),
    }


def configuration(wish: Mapping[str, Any], roles_at: str, profiles_at: str) -> dict[str, Any]:
    """A wished provider as CreateCapacityProvider takes it, but for subnets and security groups, whose ids AWS knows;
    `roles_at` and `profiles_at` are what ARNs of roles and of profiles begin with, their path included.
    """
    return {
        "infrastructureRoleArn": f"{roles_at}{wish['infrastructure_role']}",
        "instanceLaunchTemplate": {
            "ec2InstanceProfileArn": f"{profiles_at}{wish['profile']}",
            "storageConfiguration": {"storageSizeGiB": wish["disk_gib"]},
            "monitoring": wish["monitoring"],
            "capacityOptionType": wish["capacity"],
            "instanceRequirements": {
                key: list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
                for key, value in wish["requirements"].items()
            },
        },
        "propagateTags": "CAPACITY_PROVIDER" if wish["hands_tags_on"] else "NONE",
        "infrastructureOptimization": {"scaleInAfter": wish["idle_seconds"]},
    }


def notes() -> tuple[str, ...]:
    return (
        "gpu.machines: managed: ECS takes a fee for each machine besides its price, and empties it 14 days after its "
        "start for one with newer software: its targets go to another first",
    )
