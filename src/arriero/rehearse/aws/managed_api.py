"""Capacity providers of ECS Managed Instances as ECS takes and refuses them; moto knows none.

Words: public issue threads, where one quotes them (hashicorp/terraform-provider-aws#44783 and #45693,
ekristen/aws-nuke#990, notes of who deployed such); otherwise the stage's own. Which values there are the SDK's model
says. What a task's definition may not hold: .../developerguide/managed-instances-tasks-services.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from moto.ec2.models import ec2_backends
from moto.ecs.exceptions import ECSException, InvalidParameterException
from moto.iam.models import iam_backends

from arriero.rehearse.aws.ecs_task import MANAGED_INSTANCES
from arriero.rehearse.aws.permission import role_allows

_TEMPLATE = "instanceLaunchTemplate"
_REQUEST = "{}ManagedInstancesProviderConfiguration"
_LONGEST_IDLE_SECONDS = 3600
_INSTANCE_ATTRIBUTES = ("ecs.subnet-id", "ecs.availability-zone", "ecs.instance-type", "ecs.cpu-architecture")
_NOT_OF_A_TASK = ("ephemeralStorage", "ipcMode", "proxyConfiguration", "inferenceAccelerators")
_NOT_OF_A_CONTAINER = (
    *("disableNetworking", "dnsSearchDomains", "dnsServers", "dockerSecurityOptions"),
    *("extraHosts", "hostname", "links"),
)
_NOT_OF_LINUX = ("maxSwap", "sharedMemorySize", "swappiness", "tmpfs")
_NOT_OF_A_VOLUME = ("dockerVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration")


class ManagedProvider:
    """As DescribeCapacityProviders has it; `machines` are the ids of those that ECS has started for it."""

    type = MANAGED_INSTANCES
    auto_scaling_group_provider = None

    def __init__(self, arn: str, name: str, cluster: str, configuration: Mapping[str, Any], tags: Any) -> None:
        self.capacity_provider_arn, self.name, self.cluster = arn, name, cluster
        self.managed_instances_provider = _completed(configuration)
        self.tags = tags
        self.status, self.update_status = "PROVISIONING", "CREATE_IN_PROGRESS"
        self.machines: list[str] = []

    @property
    def template(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.managed_instances_provider[_TEMPLATE]
        return found

    @property
    def requirements(self) -> Mapping[str, Any]:
        return self.template.get("instanceRequirements") or {}

    @property
    def idle_seconds(self) -> int | None:
        """None where nothing is said, -1 for never."""
        optimization: Mapping[str, Any] = self.managed_instances_provider.get("infrastructureOptimization") or {}
        return optimization.get("scaleInAfter")

    def update(self, configuration: Mapping[str, Any]) -> None:
        """Machines that run stay what they are; how they are paid stays in any case."""
        kept = {"capacityOptionType": self.template["capacityOptionType"]}
        template = {**self.template, **configuration[_TEMPLATE], **kept}
        self.managed_instances_provider = {**self.managed_instances_provider, **configuration, _TEMPLATE: template}
        self.update_status = "UPDATE_COMPLETE"


def refuse_a_configuration(account: str, region: str, configuration: Mapping[str, Any], request: str) -> None:
    """`request` is `create` or `update`. Raises what ECS would."""
    shape = _model().shape_for(_REQUEST.format(request.title()))
    for told in _of_no_enumeration(configuration, shape, "managedInstancesProvider"):
        raise InvalidParameterException(told)
    template = configuration[_TEMPLATE]
    if request == "create" or "networkConfiguration" in template:
        _refuse_a_network(account, region, template.get("networkConfiguration") or {})
    if request == "create" or "ec2InstanceProfileArn" in template:
        _refuse_a_profile(account, str(template.get("ec2InstanceProfileArn")))
    _refuse_requirements(template.get("instanceRequirements"))
    idle = (configuration.get("infrastructureOptimization") or {}).get("scaleInAfter")
    if idle is not None and not -1 <= idle <= _LONGEST_IDLE_SECONDS:
        raise InvalidParameterException("scaleInAfter must be -1, or between 0 and 3600.")
    _refuse_a_role(account, str(configuration["infrastructureRoleArn"]))


def refuse_a_definition(request: Mapping[str, Any]) -> None:
    """Of a task that is to run on managed instances."""
    if MANAGED_INSTANCES not in (request.get("requiresCompatibilities") or ()):
        return
    for told in _not_of_such_a_task(request):
        raise ECSException("ClientException", f"Managed Instances compatible task definitions do not support {told}.")


def fits(kind: Mapping[str, Any], requirements: Mapping[str, Any]) -> bool:
    """Whether a type of machine, as EC2 describes it, is what is asked for."""
    gpus = kind.get("GpuInfo", {}).get("Gpus", ())
    have = {
        "vCpuCount": kind["VCpuInfo"]["DefaultVCpus"],
        "memoryMiB": kind["MemoryInfo"]["SizeInMiB"],
        "acceleratorCount": sum(each["Count"] for each in gpus),
        "acceleratorTotalMemoryMiB": kind.get("GpuInfo", {}).get("TotalGpuMemoryInMiB", 0),
    }
    lists = {
        "acceleratorTypes": {"gpu"} if gpus else set(),
        "acceleratorManufacturers": {each["Manufacturer"].lower() for each in gpus},
        "acceleratorNames": {each["Name"].lower().replace(" ", "-") for each in gpus},
    }
    name = kind["InstanceType"]
    allowed, excluded = requirements.get("allowedInstanceTypes"), requirements.get("excludedInstanceTypes", ())
    return (
        all(_is_between(have[key], requirements[key]) for key in have if key in requirements)
        and all(lists[key] & set(requirements[key]) for key in lists if requirements.get(key))
        and (not allowed or any(_is_like(name, each) for each in allowed))
        and not any(_is_like(name, each) for each in excluded)
        and (bool(gpus) <= bool(requirements.get("acceleratorTypes") or requirements.get("acceleratorNames")))
    )


def _completed(configuration: Mapping[str, Any]) -> dict[str, Any]:
    template = {"capacityOptionType": "ON_DEMAND", **configuration[_TEMPLATE]}
    return {**configuration, _TEMPLATE: template}


def _refuse_a_network(account: str, region: str, network: Mapping[str, Any]) -> None:
    ec2 = ec2_backends[account][region]
    there = {name: subnet for zone in ec2.subnets.values() for name, subnet in zone.items()}
    subnets = network.get("subnets") or []
    if not subnets:
        raise InvalidParameterException("At least one subnet must be specified.")
    for name in subnets:
        if name not in there:
            raise InvalidParameterException(f"The subnet ID '{name}' does not exist")
    if len({there[name].vpc_id for name in subnets}) > 1:
        raise InvalidParameterException("All subnets must be in the same VPC.")
    for name in network.get("securityGroups") or []:
        if ec2.get_security_group_from_id(name) is None:
            raise InvalidParameterException(f"The security group '{name}' does not exist")


def _refuse_a_profile(account: str, arn: str) -> None:
    profiles = iam_backends[account]["aws"].instance_profiles.values()
    if not any(each.arn == arn and each.roles for each in profiles):
        raise InvalidParameterException(f"The instance profile {arn} does not exist, or holds no role.")


def _refuse_requirements(requirements: Mapping[str, Any] | None) -> None:
    if requirements is None:
        return
    if requirements.get("allowedInstanceTypes") and requirements.get("excludedInstanceTypes"):
        raise InvalidParameterException("AllowedInstanceTypes and ExcludedInstanceTypes can't be specified together.")
    pinned = any(re.match(r"[a-z]+\d", each) for each in requirements.get("allowedInstanceTypes", ()))
    if requirements.get("instanceGenerations") and pinned:
        text = "InstanceGenerations can't be combined with instance types of one generation."
        raise ECSException("ClientException", text)


def _refuse_a_role(account: str, arn: str) -> None:
    """ECS takes the role on at once, and looks which types there are."""
    action = "ec2:DescribeInstanceTypeOfferings"
    if not is_ecss(account, arn):
        raise ECSException("ClientException", f"ECS was unable to assume the role '{arn}' that was provided.")
    if not role_allows(account, arn, action, "*"):
        name = arn.rpartition("/")[2]
        who = f"arn:aws:sts::{account}:assumed-role/{name}/ECSManagedInstances"
        raise ECSException("ClientException", f"User: {who} is not authorized to perform: {action}")


def is_ecss(account: str, arn: str) -> bool:
    """Whether there is such a role, and ECS may take it on."""
    roles = iam_backends[account]["aws"].roles.values()
    role = next((each for each in roles if each.arn == arn), None)
    return role is not None and "ecs.amazonaws.com" in str(role.assume_role_policy_document)


def _not_of_such_a_task(request: Mapping[str, Any]) -> Iterator[str]:
    yield from (key for key in _NOT_OF_A_TASK if request.get(key))
    if request.get("networkMode") not in ("awsvpc", "host"):
        yield f"networkMode '{request.get('networkMode')}'"
    for container in request.get("containerDefinitions") or ():
        yield from (key for key in _NOT_OF_A_CONTAINER if container.get(key))
        yield from (key for key in _NOT_OF_LINUX if (container.get("linuxParameters") or {}).get(key))
    for volume in request.get("volumes") or ():
        yield from (key for key in _NOT_OF_A_VOLUME if volume.get(key))
    for each in request.get("placementConstraints") or ():
        named = re.findall(r"attribute:(\S+)", each.get("expression") or "")
        yield from (f"the attribute {name}" for name in named if name not in _INSTANCE_ATTRIBUTES)


def _is_between(have: float, limits: Mapping[str, Any]) -> bool:
    return bool(limits.get("min", have) <= have <= limits.get("max", have))


def _is_like(name: str, pattern: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name) is not None


@cache
def _model() -> Any:
    return botocore.session.Session().get_service_model("ecs")


def _of_no_enumeration(value: Any, shape: Any, where: str) -> Iterator[str]:
    """Values that the SDK lets pass, and the service does not. What is missing or out of bounds the SDK refuses."""
    if shape.type_name == "structure":
        for name, inner in shape.members.items():
            if value.get(name) is not None:
                yield from _of_no_enumeration(value[name], inner, f"{where}.{name}")
    elif shape.type_name == "list":
        for number, each in enumerate(value, 1):
            yield from _of_no_enumeration(each, shape.member, f"{where}.{number}")
    elif getattr(shape, "enum", ()) and value not in shape.enum:
        yield (
            f"1 validation error detected: Value '{value}' at '{where}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        )
