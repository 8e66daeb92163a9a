"""Roles and logs of a site, read into Resources. IAM is global: the site's roles are found by their names and path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arriero.errors import CloudError, Problem
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteRef, Value

MANAGED = ":iam::aws:policy/"


def read_role(iam: Any, ref: SiteRef, name: str) -> Resource | None:
    """The role with its policies, or None. Raises CloudError when a role of this name is not ours."""
    try:
        role = iam.get_role(RoleName=name)["Role"]
    except iam.exceptions.NoSuchEntityException:
        return None
    tags = {tag["Key"]: tag["Value"] for tag in role.get("Tags", ())}
    refuse_foreign(ref, tags, f"an IAM role {name}")
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    inline = {each: iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in sorted(names)}
    properties: dict[str, Value] = {
        "path": role["Path"],
        "trust": tuple(_frozen(each) for each in role["AssumeRolePolicyDocument"].get("Statement", ())),
        "policies": tuple(sorted(_short(policy["PolicyArn"]) for policy in attached)),
        "inline_policies": _frozen(inline),
    }
    return Resource("aws.role", name, properties, role["Arn"], tags)


def read_log_group(logs: Any, ref: SiteRef, name: str) -> Resource | None:
    """The log group, or None. `retention_days` is None where logs are kept for ever."""
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    group = next((each for each in groups if each["logGroupName"] == name), None)
    if group is None:
        return None
    tags = logs.list_tags_log_group(logGroupName=name).get("tags", {})
    refuse_foreign(ref, tags, f"a log group {name}")
    return Resource("aws.log_group", name, {"retention_days": group.get("retentionInDays")}, group["arn"], tags)


def refuse_foreign(ref: SiteRef, tags: Mapping[str, str], thing: str) -> None:
    """A thing of our name without our tags belongs to somebody: it is neither changed nor taken over."""
    if tags.get(SERVICE_TAG) == ref.service and tags.get(SITE_TAG) == ref.site:
        return
    raise CloudError(
        ref.site,
        Problem(
            f"there is {thing} already, without the tags of this site",
            f"give the site another name; or, if it is to be used, tag it {SERVICE_TAG}={ref.service}, "
            f"{SITE_TAG}={ref.site}",
        ),
    )


def _short(arn: str) -> str:
    """AWS's own policies by name, so that partitions (aws-cn, aws-us-gov) compare equal; others by ARN."""
    return arn.partition(MANAGED)[2] or arn


def _frozen(value: Any) -> Value:
    if isinstance(value, Mapping):
        return {key: _frozen(part) for key, part in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
