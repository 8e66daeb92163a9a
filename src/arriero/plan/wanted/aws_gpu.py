"""What a site with GPUs holds besides: Fargate has none, so its targets run on EC2 machines of the site's own.

A launch template says what a machine is; an autoscaling group starts machines by it; a capacity provider lets ECS say
how many, by the tasks that wait, and keeps machines that have tasks. Everything is named from the base
`<service>-<site>`. The machine's image is Amazon's for ECS with GPUs, asked for by its public parameter when a machine
starts, so new machines have the newest (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-gpu.html).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from arriero.cost import machine
from arriero.errors import Problem, Refused
from arriero.plan.model import Resource, Value
from arriero.spec.model import ResolvedSite

PROFILE, TEMPLATE = "aws.instance_profile", "aws.launch_template"
GROUP, PROVIDER = "aws.autoscaling_group", "aws.capacity_provider"
PROVIDER_PREFIX, MANAGED_PREFIX = "gpu-", "managed-"
# By how a capacity provider's name begins, what a service stands on; on neither of them it stands on Fargate.
FARGATE = "Fargate"
STANDS_ON = {PROVIDER_PREFIX: "machines with GPUs", MANAGED_PREFIX: "managed machines with GPUs"}
POLICY = "service-role/AmazonEC2ContainerServiceforEC2Role"
IMAGE = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
ROOT = "/dev/xvda"
# A new release starts beside the former one, so machines for both must be had.
RELEASES_AT_ONCE = 2


def provider_name(base: str) -> str:
    """A name may begin with neither aws, ecs nor fargate, and a service may be called so."""
    return f"{PROVIDER_PREFIX}{base}"


def role_name(base: str) -> str:
    return f"{base}-machine"


def group_name(base: str) -> str:
    """The machines' security group."""
    return f"{base}-machines"


def trust() -> Mapping[str, Value]:
    return {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def role(base: str, path: str, tags: Mapping[str, str], policy: str = POLICY) -> tuple[Resource, ...]:
    """What a machine may do: register itself with the cluster, and no more; and the profile that hands it the role."""
    name = role_name(base)
    own: dict[str, Value] = {"path": path, "trust": (trust(),), "policies": (policy,), "inline_policies": {}}
    return (
        Resource("aws.role", name, own, tags=tags),
        Resource(PROFILE, name, {"path": path, "role": name}, tags=tags),
    )


def wanted(site: ResolvedSite, base: str, tags: Mapping[str, str], subnets: tuple[str, ...]) -> tuple[Resource, ...]:
    """`subnets` are the names of those that targets stand in."""
    chosen = machine.chosen(site)
    template: dict[str, Value] = {
        "machine": chosen.name,
        "image": IMAGE,
        "profile": role_name(base),
        "user_data": user_data(base),
        "metadata_tokens": "required",
        "disk": {"device": ROOT, "gib": machine.disk_gib(site, chosen), "type": "gp3", "encrypted": True},
        "security_groups": (group_name(base),),
        "public_ip": not site.network.is_private,
    }
    group: dict[str, Value] = {
        "template": base,
        "version": "$Latest",
        "min": 0,
        "max": machine.needed(site, chosen, max(1, site.max) * RELEASES_AT_ONCE),
        "subnets": tuple(sorted(subnets)),
        "is_protected": True,
    }
    provider: dict[str, Value] = {
        "group": base,
        "scaling": {"status": "ENABLED", "target": 100},
        "termination_protection": "ENABLED",
        "draining": "ENABLED",
    }
    return (
        Resource(TEMPLATE, base, template, tags=tags),
        Resource(GROUP, base, group, tags=tags),
        Resource(PROVIDER, provider_name(base), provider, tags=tags),
    )


def user_data(base: str) -> str:
    """What a machine runs when it starts, as EC2 keeps it. Its tasks can't take on the machine's own role."""
    settings = {"ECS_CLUSTER": base, "ECS_ENABLE_GPU_SUPPORT": "true", "ECS_AWSVPC_BLOCK_IMDS": "true"}
    lines = [f"echo {key}={value} >> /etc/ecs/ecs.config" for key, value in settings.items()]
    return base64.b64encode("\n".join(["#!/bin/bash", *lines, ""]).encode()).decode()


def of_a_task(site: ResolvedSite) -> dict[str, Any]:
    """What of a task's definition is its own with GPUs: it runs on the chosen machine, so another is a new release."""
    place = {"type": "memberOf", "expression": f"attribute:ecs.instance-type == {machine.chosen(site).name}"}
    kind = "MANAGED_INSTANCES" if site.gpu and site.gpu.is_managed else "EC2"
    return {"requiresCompatibilities": [kind], "placementConstraints": [place]}


def requirements(site: ResolvedSite) -> list[dict[str, str]]:
    """What the container of Ollama reserves."""
    return [{"type": "GPU", "value": str(site.gpu.count)}] if site.gpu else []


def refuse_a_move(site: ResolvedSite, strategy: Value) -> None:
    """`strategy` is that of the service that stands: it can't be moved between Fargate and machines, nor between kinds
    of machines, while it serves. The whole site is one or the other.
    """
    kinds = {each: words for name in _mapped(strategy) for each, words in STANDS_ON.items() if name.startswith(each)}
    stands_on, goes_to = next(iter(kinds.values()), FARGATE), FARGATE
    if site.gpu:
        goes_to = STANDS_ON[MANAGED_PREFIX if site.gpu.is_managed else PROVIDER_PREFIX]
    if stands_on == goes_to:
        return
    remedy = "name the site anew, `arriero up`, and take the old one down"
    what = f"the site stands on {stands_on}, and can't move to {goes_to}"
    raise Refused(Problem(what, remedy, key=f"sites.{site.name}.gpu"))


def _mapped(strategy: Value) -> Mapping[str, Value]:
    return strategy if isinstance(strategy, Mapping) else {}


def notes(site: ResolvedSite) -> tuple[str, ...]:
    if site.gpu is None:
        return ()
    chosen = machine.chosen(site)
    each = machine.targets_on(site, chosen)
    said = f"gpu: {site.gpu} a target, on {chosen.name}, {each} target{'s' if each > 1 else ''} a machine"
    return (f"{said}; a new account may start none of them before its quota of G machines is raised",)
