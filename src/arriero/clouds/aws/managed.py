"""The machines that ECS keeps for a site by itself (Managed Instances), read into Resources: the capacity provider that
says what they are, and the role by which ECS has them.

Only asked for where the spec wants such, or where the machines' role tells of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from arriero.clouds.aws.clients import HOME_REGION, Clients
from arriero.clouds.aws.identity import read_role, refuse_foreign
from arriero.plan.model import Resource, SiteRef, Value
from arriero.plan.wanted import aws_managed

Found = Mapping[str, Any]
# It has them no more, or will soon have none.
_LEAVING = ("DEPROVISIONING", "INACTIVE")


def are_told_of(machines: Iterable[Resource]) -> bool:
    """By the policy of the machines' role, which is made before them, and removed after them."""
    roles = (each for each in machines if each.kind == "aws.role")
    return any(aws_managed.POLICY in _tuple(role.properties["policies"]) for role in roles)


def read(made: Clients, ref: SiteRef, names: Mapping[str, str], pool: Executor) -> tuple[Resource, ...]:
    """`names` tell the site's own subnets and security groups by id. Raises CloudError where a thing of our name is
    somebody else's.
    """
    base = f"{ref.service}-{ref.site}"
    readers = (
        pool.submit(read_role, made.get("iam", HOME_REGION), ref, aws_managed.infrastructure_name(base)),
        pool.submit(_provider, made.get("ecs", ref.region), ref, aws_managed.provider_name(base), names),
    )
    return tuple(resource for reader in readers if (resource := reader.result()))


def _provider(ecs: Any, ref: SiteRef, name: str, names: Mapping[str, str]) -> Resource | None:
    described = ecs.describe_capacity_providers(capacityProviders=[name], include=["TAGS"])["capacityProviders"]
    found = next((each for each in described if each["status"] not in _LEAVING), None)
    if found is None:
        return None
    tags = {tag["key"]: tag["value"] for tag in found.get("tags", ())}
    refuse_foreign(ref, tags, f"a capacity provider {name}")
    held = found.get("managedInstancesProvider", {})
    template = held.get("instanceLaunchTemplate", {})
    network = template.get("networkConfiguration", {})
    own: dict[str, Value] = {
        "cluster": str(found.get("cluster", "")).rpartition("/")[2],
        "infrastructure_role": str(held.get("infrastructureRoleArn", "")).rpartition("/")[2],
        "profile": str(template.get("ec2InstanceProfileArn", "")).rpartition("/")[2],
        "capacity": template.get("capacityOptionType", "ON_DEMAND"),
        "requirements": _normal(template.get("instanceRequirements", {})),
        "disk_gib": template.get("storageConfiguration", {}).get("storageSizeGiB"),
        "subnets": tuple(sorted(names.get(each, each) for each in network.get("subnets", ()))),
        "security_groups": tuple(sorted(names.get(each, each) for each in network.get("securityGroups", ()))),
        "monitoring": template.get("monitoring", "BASIC"),
        "idle_seconds": held.get("infrastructureOptimization", {}).get("scaleInAfter"),
        "hands_tags_on": held.get("propagateTags") == "CAPACITY_PROVIDER",
    }
    return Resource(aws_managed.PROVIDER, name, own, found["capacityProviderArn"], tags)


def _normal(value: Any) -> Value:
    """The order of lists means nothing here, and what is empty says nothing."""
    if isinstance(value, Mapping):
        return {key: _normal(part) for key, part in value.items() if part not in (None, {}, [])}
    return tuple(sorted(value)) if isinstance(value, list) else value


def _tuple(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else ()
