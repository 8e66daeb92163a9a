"""The machines of a site with GPUs in the words of the provider hashicorp/aws: what they are, how many, by whom.

How many run is up to ECS: Terraform sets no number, and never lets go of a machine that has tasks. They go as the role
`aws_site` has them go: the service, the capacity provider, the group with its machines, the cluster. A cluster with
machines stays, so the group is made after it (https://github.com/hashicorp/terraform-provider-aws/issues/18849).
Machines that ECS has by itself go with their capacity provider, before the cluster that it belongs to.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, cast

from arriero.pipeline.terraform import aws_network
from arriero.pipeline.terraform.aws_network import ours, tags
from arriero.pipeline.terraform.hcl import Blocks, Body, Call, Expression, Raw
from arriero.pipeline.terraform.piece import Maker, Piece, Site
from arriero.plan.model import Resource
from arriero.plan.wanted import aws_gpu, aws_managed

# What is asked of managed machines, by ECS's words for it.
_REQUIREMENTS = {
    "vCpuCount": "vcpu_count",
    "memoryMiB": "memory_mib",
    "acceleratorTypes": "accelerator_types",
    "acceleratorManufacturers": "accelerator_manufacturers",
    "acceleratorNames": "accelerator_names",
    "acceleratorCount": "accelerator_count",
    "allowedInstanceTypes": "allowed_instance_types",
}
GROUP_NOTE = "How many machines run is up to ECS, which marks the group as its own."


def named(site: Site, provider: str) -> Expression:
    """A capacity provider's name; the site's own is referred to, so that it is there first, and goes later."""
    is_own = provider.startswith(tuple(aws_gpu.STANDS_ON))
    return Raw(f"aws_ecs_capacity_provider.{site.label}.name") if is_own else provider


def _profile(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [profile] = resources
    body = ours(
        site,
        name=profile.name,
        path=str(profile.properties["path"]),
        role=Raw(f"aws_iam_role.{site.label}_machine.name"),
        tags=tags(site),
    )
    yield Piece("aws_iam_instance_profile", site.label, body, {"": profile.name} if site.standing(profile) else {})


def _template(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """With the profile by its ARN, as EC2 keeps it, so that what stands is no other version."""
    [template] = resources
    wish = cast("Mapping[str, Any]", template.properties)
    labels = tags(site, Name=template.name)
    body = ours(
        site,
        name=template.name,
        image_id=wish["image"],
        instance_type=wish["machine"],
        user_data=Call("base64encode", base64.b64decode(wish["user_data"]).decode()),
        tags=tags(site),
        iam_instance_profile=Blocks(({"arn": Raw(f"aws_iam_instance_profile.{site.label}.arn")},)),
        metadata_options=Blocks(({"http_endpoint": "enabled", "http_tokens": wish["metadata_tokens"]},)),
        block_device_mappings=Blocks((_disk(wish["disk"]),)),
        network_interfaces=Blocks(
            (
                {
                    "device_index": 0,
                    "associate_public_ip_address": wish["public_ip"],
                    "security_groups": [aws_network.group_id(site, name) for name in wish["security_groups"]],
                    "delete_on_termination": True,
                },
            )
        ),
        tag_specifications=Blocks(tuple({"resource_type": what, "tags": labels} for what in ("instance", "volume"))),
    )
    yield Piece("aws_launch_template", site.label, body, site.imported(template))


def _disk(disk: Mapping[str, Any]) -> Body:
    volume = {
        "volume_size": disk["gib"],
        "volume_type": disk["type"],
        "encrypted": disk["encrypted"],
        "delete_on_termination": True,
    }
    return {"device_name": disk["device"], "ebs": Blocks((volume,))}


def _group(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """`force_delete`, as the role does: machines that are protected from scale-in would never go by themselves."""
    [group] = resources
    wish = cast("Mapping[str, Any]", group.properties)
    template = {"name": Raw(f"aws_launch_template.{site.label}.name"), "version": wish["version"]}
    own = [_tag(key, value, propagates=False) for key, value in tags(site).items()]
    body = ours(
        site,
        name=group.name,
        min_size=wish["min"],
        max_size=wish["max"],
        vpc_zone_identifier=[aws_network.subnet_id(site, name) for name in wish["subnets"]],
        health_check_type="EC2",
        protect_from_scale_in=wish["is_protected"],
        force_delete=True,
        depends_on=[Raw(f"aws_ecs_cluster.{site.label}")],
        launch_template=Blocks((template,)),
        tag=Blocks((*own, _tag("AmazonECSManaged", "", propagates=True))),
        lifecycle=Blocks(({"ignore_changes": [Raw("desired_capacity")]},)),
    )
    there = {"": group.name} if site.standing(group) else {}
    yield Piece("aws_autoscaling_group", site.label, body, there, GROUP_NOTE)


def _tag(key: str, value: str, *, propagates: bool) -> Body:
    return {"key": key, "value": value, "propagate_at_launch": propagates}


def _provider(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    [provider] = resources
    wish = cast("Mapping[str, Any]", provider.properties)
    scaling = {"status": wish["scaling"]["status"], "target_capacity": wish["scaling"]["target"]}
    of_the_group = {
        "auto_scaling_group_arn": Raw(f"aws_autoscaling_group.{site.label}.arn"),
        "managed_termination_protection": wish["termination_protection"],
        "managed_draining": wish["draining"],
        "managed_scaling": Blocks((scaling,)),
    }
    body = ours(site, name=provider.name, tags=tags(site), auto_scaling_group_provider=Blocks((of_the_group,)))
    yield Piece("aws_ecs_capacity_provider", site.label, body, site.imported(provider))


def _managed(site: Site, resources: tuple[Resource, ...]) -> Iterator[Piece]:
    """Of its cluster, so made after it, and gone before it. This version has no argument for how machines are paid, and
    so leaves it to ECS: on demand.
    """
    [provider] = resources
    wish = cast("Mapping[str, Any]", provider.properties)
    asked = wish["requirements"]
    template = {
        "ec2_instance_profile_arn": Raw(f"aws_iam_instance_profile.{site.label}.arn"),
        "monitoring": wish["monitoring"],
        "network_configuration": Blocks(
            (
                {
                    "subnets": [aws_network.subnet_id(site, name) for name in wish["subnets"]],
                    "security_groups": [aws_network.group_id(site, name) for name in wish["security_groups"]],
                },
            )
        ),
        "storage_configuration": Blocks(({"storage_size_gib": wish["disk_gib"]},)),
        "instance_requirements": Blocks(
            (
                {
                    word: Blocks((dict(asked[key]),)) if isinstance(asked[key], Mapping) else list(asked[key])
                    for key, word in _REQUIREMENTS.items()
                },
            )
        ),
    }
    infrastructure = aws_network.label_of(site, wish["infrastructure_role"])
    of_machines = {
        "infrastructure_role_arn": Raw(f"aws_iam_role.{infrastructure}.arn"),
        "propagate_tags": "CAPACITY_PROVIDER" if wish["hands_tags_on"] else "NONE",
        "infrastructure_optimization": Blocks(({"scale_in_after": wish["idle_seconds"]},)),
        "instance_launch_template": Blocks((template,)),
    }
    body = ours(
        site,
        name=provider.name,
        cluster=Raw(f"aws_ecs_cluster.{site.label}.name"),
        tags=tags(site),
        managed_instances_provider=Blocks((of_machines,)),
        depends_on=[
            Raw(f"aws_iam_role_policy_attachment.{infrastructure}"),
            Raw(f"aws_iam_role_policy.{infrastructure}_{aws_managed.PASSING.replace('-', '_')}"),
        ],
    )
    yield Piece("aws_ecs_capacity_provider", site.label, body, site.imported(provider))


MAKERS: Mapping[str, Maker] = {
    aws_gpu.PROFILE: _profile,
    aws_gpu.TEMPLATE: _template,
    aws_gpu.GROUP: _group,
    aws_gpu.PROVIDER: _provider,
    aws_managed.PROVIDER: _managed,
}
