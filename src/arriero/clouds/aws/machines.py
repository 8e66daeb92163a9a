"""The EC2 machines of a site with GPUs, read into Resources: their role's profile, what they are, how many, by whom.

Only asked for where the spec names GPUs, or where the site's security groups or roles tell of them. Those that ECS
keeps by itself are `managed.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from arriero.clouds.aws import managed
from arriero.clouds.aws.clients import HOME_REGION, Clients
from arriero.clouds.aws.identity import read_role, refuse_foreign
from arriero.plan.model import Resource, SiteRef, Value
from arriero.plan.wanted import aws_gpu

Found = Mapping[str, Any]


def are_told_of(network: Iterable[Resource], ref: SiteRef) -> bool:
    """Whether the machines' security group stands: it is made before them, and removed after them."""
    name = aws_gpu.group_name(f"{ref.service}-{ref.site}")
    return any((each.kind, each.name) == ("aws.security_group", name) for each in network)


def read(made: Clients, ref: SiteRef, names: Mapping[str, str], pool: Executor) -> tuple[Resource, ...]:
    """What is there of it, asked side by side; `names` tell the site's own subnets and security groups by id. Raises
    CloudError where a thing of our name is somebody else's.
    """
    iam, ec2 = made.get("iam", HOME_REGION), made.get("ec2", ref.region)
    base = f"{ref.service}-{ref.site}"
    readers = (
        pool.submit(read_role, iam, ref, aws_gpu.role_name(base)),
        pool.submit(_profile, iam, ref, aws_gpu.role_name(base)),
        pool.submit(_template, ec2, ref, base, names),
        pool.submit(_group, made.get("autoscaling", ref.region), ref, base, names),
        pool.submit(_provider, made.get("ecs", ref.region), ref, aws_gpu.provider_name(base)),
    )
    found = tuple(resource for reader in readers if (resource := reader.result()))
    has_managed = ref.managed or managed.are_told_of(found)
    return (*found, *managed.read(made, ref, names, pool)) if has_managed else found


def _profile(iam: Any, ref: SiteRef, name: str) -> Resource | None:
    try:
        profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    except iam.exceptions.NoSuchEntityException:
        return None
    tags = _tags(profile)
    refuse_foreign(ref, tags, f"an instance profile {name}")
    roles = [role["RoleName"] for role in profile["Roles"]]
    own: dict[str, Value] = {"path": profile["Path"], "role": roles[0] if roles else None}
    return Resource(aws_gpu.PROFILE, name, own, profile["Arn"], tags)


def _template(ec2: Any, ref: SiteRef, name: str, names: Mapping[str, str]) -> Resource | None:
    """The newest version, which the group starts machines by."""
    asked = [{"Name": "launch-template-name", "Values": [name]}]
    found = next(iter(ec2.describe_launch_templates(Filters=asked)["LaunchTemplates"]), None)
    if found is None:
        return None
    tags = _tags(found)
    refuse_foreign(ref, tags, f"a launch template {name}")
    latest = ec2.describe_launch_template_versions(LaunchTemplateId=found["LaunchTemplateId"], Versions=["$Latest"])
    data = latest["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    network: Found = next(iter(data.get("NetworkInterfaces", ())), {})
    disk: Found = next(iter(data.get("BlockDeviceMappings", ())), {})
    volume = disk.get("Ebs", {})
    own: dict[str, Value] = {
        "machine": data.get("InstanceType"),
        "image": data.get("ImageId"),
        "profile": str(data.get("IamInstanceProfile", {}).get("Arn", "")).rpartition("/")[2],
        "user_data": data.get("UserData"),
        "metadata_tokens": data.get("MetadataOptions", {}).get("HttpTokens", "optional"),
        "disk": {
            "device": disk.get("DeviceName"),
            "gib": volume.get("VolumeSize"),
            "type": volume.get("VolumeType"),
            "encrypted": bool(volume.get("Encrypted")),
        },
        "security_groups": tuple(sorted(names.get(each, each) for each in network.get("Groups", ()))),
        "public_ip": bool(network.get("AssociatePublicIpAddress")),
    }
    return Resource(aws_gpu.TEMPLATE, name, own, found["LaunchTemplateId"], tags)


def _group(autoscaling: Any, ref: SiteRef, name: str, names: Mapping[str, str]) -> Resource | None:
    """One that is being deleted is there until its last machine is gone."""
    found = next(
        iter(autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]), None
    )
    if found is None:
        return None
    tags = _tags(found)
    refuse_foreign(ref, tags, f"an autoscaling group {name}")
    template = found.get("LaunchTemplate", {})
    subnets = str(found.get("VPCZoneIdentifier", "")).split(",")
    own: dict[str, Value] = {
        "template": template.get("LaunchTemplateName"),
        "version": template.get("Version"),
        "min": found["MinSize"],
        "max": found["MaxSize"],
        "subnets": tuple(sorted(names.get(each, each) for each in subnets if each)),
        "is_protected": bool(found.get("NewInstancesProtectedFromScaleIn")),
    }
    arn = str(found["AutoScalingGroupARN"])
    return Resource(aws_gpu.GROUP, name, own, arn, tags, {"machines": len(found.get("Instances", ()))})


def _provider(ecs: Any, ref: SiteRef, name: str) -> Resource | None:
    """A deleted one is still described, as INACTIVE, for a while."""
    described = ecs.describe_capacity_providers(capacityProviders=[name], include=["TAGS"])["capacityProviders"]
    found = next((each for each in described if each["status"] == "ACTIVE"), None)
    if found is None:
        return None
    tags = {tag["key"]: tag["value"] for tag in found.get("tags", ())}
    refuse_foreign(ref, tags, f"a capacity provider {name}")
    held = found["autoScalingGroupProvider"]
    scaling = held.get("managedScaling", {})
    own: dict[str, Value] = {
        "group": str(held["autoScalingGroupArn"]).rpartition("/")[2],
        "scaling": {"status": scaling.get("status"), "target": scaling.get("targetCapacity")},
        "termination_protection": held.get("managedTerminationProtection"),
        "draining": held.get("managedDraining"),
    }
    return Resource(aws_gpu.PROVIDER, name, own, found["capacityProviderArn"], tags)


def _tags(found: Found) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
