"""What roles allow: a task's own and its execution role, by their inline policies, and those that ECS takes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends

from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.permissions import AwsPolicies, Need


def is_allowed(task: StageTask, action: str, resource: str, context: Mapping[str, str] = MappingProxyType({})) -> bool:
    """`context` is what conditions can ask for. A policy that can't be judged allows nothing."""
    return _allows(task, "task_role_arn", Need(action, resource, context))


def ecs_may(task: StageTask, action: str, resource: str) -> bool:
    """Whether ECS may do it for the task before its containers start, by the execution role."""
    return _allows(task, "execution_role_arn", Need(action, resource, {}))


def role_allows(
    account: str, arn: str, action: str, resource: str, context: Mapping[str, str] = MappingProxyType({})
) -> bool:
    """By its own policies and those of AWS's that are attached to it; no role allows nothing."""
    role = next((role for role in iam_backends[account]["aws"].roles.values() if role.arn == arn), None)
    if role is None:
        return False
    attached = [v.document for policy in role.managed_policies.values() for v in policy.versions if v.is_default]
    documents = [json.loads(unquote(text)) for text in (*role.policies.values(), *attached)]
    return _any_allows(documents, Need(action, resource, context))


def _allows(task: StageTask, which: str, need: Need) -> bool:
    definition = task._backend.describe_task_definition(task.task_definition_arn)
    roles = iam_backends[task._account_id]["aws"].roles.values()
    role = next((role for role in roles if role.arn == getattr(definition, which, None)), None)
    documents = [json.loads(unquote(text)) for text in (role.policies.values() if role else ())]
    return _any_allows(documents, need)


def _any_allows(documents: Iterable[Mapping[str, Any]], need: Need) -> bool:
    """A policy that can't be judged allows nothing."""
    try:
        return AwsPolicies(documents).allows(need)
    except (ValueError, KeyError):
        return False
