"""What a task's own role allows, and its execution role, by their inline policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
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


def _allows(task: StageTask, which: str, need: Need) -> bool:
    definition = task._backend.describe_task_definition(task.task_definition_arn)
    roles = iam_backends[task._account_id]["aws"].roles.values()
    role = next((role for role in roles if role.arn == getattr(definition, which, None)), None)
    documents = [json.loads(unquote(text)) for text in (role.policies.values() if role else ())]
    try:
        return AwsPolicies(documents).allows(need)
    except (ValueError, KeyError):
        return False
