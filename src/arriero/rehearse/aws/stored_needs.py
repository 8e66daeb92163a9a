"""What calls about models in storage name: the file system, its access point, the job that fills it and its roles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from moto.backends import get_backend

from arriero.rehearse.aws.calls import Call

_FILE_SYSTEM, _ACCESS_POINT, _MOUNT_TARGET = (re.compile(rf"\b{kind}-\w+") for kind in ("fs", "fsap", "fsmt"))


def file_system(call: Call, account: str) -> Iterable[str]:
    """By the body, else by the path; a mount target's is looked up."""
    target = _MOUNT_TARGET.search(call.name)
    known = _efs(call, account).mount_targets_by_id.get(target.group()) if target else None
    named = _FILE_SYSTEM.search(f"{call.fields.get('FileSystemId', '')} {call.name}")
    name = known.file_system_id if known else named.group() if named else "new"
    return [_arn(call, account, f"file-system/{name}")]


def access_point(call: Call, account: str) -> Iterable[str]:
    named = _ACCESS_POINT.search(call.name)
    return [_arn(call, account, f"access-point/{named.group() if named else 'new'}")]


def tags_of(call: Call, account: str, arn: str) -> Mapping[str, str]:
    """Of what has such an ARN; none if there is no such thing."""
    backend, name = _efs(call, account), arn.rpartition("/")[2]
    found = backend.file_systems_by_id.get(name) or backend.access_points.get(name)
    return {tag["Key"]: tag["Value"] for tag in backend.list_tags_for_resource(name)} if found else {}


def asked_tags(call: Call) -> Mapping[str, str]:
    """What a body in JSON asks for."""
    tags = call.fields.get("Tags")
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags} if isinstance(tags, list) else {}


def ran_from(call: Call, account: str) -> tuple[str, Any]:
    """What a task is run from: its ARN, and what moto has of it; None if there is no such definition."""
    asked = str(call.fields.get("taskDefinition", ""))
    family, _, revision = asked.rpartition("/")[2].partition(":")
    made: Mapping[int, Any] = get_backend("ecs")[account][call.region].task_definitions.get(family, {})
    found = made.get(int(revision) if revision.isdigit() else max(made, default=0))
    return (str(found.arn) if found else asked), found


def role_of(call: Call, account: str, name: str) -> Iterable[str]:
    """The role of that name in the definition of a task that is run; a definition may have none."""
    role = getattr(ran_from(call, account)[1], name, None)
    return [str(role)] if role else []


def _efs(call: Call, account: str) -> Any:
    return get_backend("efs")[account][call.region]


def _arn(call: Call, account: str, name: str) -> str:
    return f"arn:aws:elasticfilesystem:{call.region}:{account}:{name}"
