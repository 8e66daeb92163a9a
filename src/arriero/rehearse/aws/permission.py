"""What a task's role allows: enough of IAM for what tasks themselves ask for."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends

from arriero.rehearse.aws.ecs_task import StageTask


def is_allowed(task: StageTask, action: str, resource: str) -> bool:
    """By the inline policies of the task's role: Allow, the action, and a resource that matches."""
    definition = task._backend.describe_task_definition(task.task_definition_arn)
    roles = iam_backends[task._account_id]["aws"].roles.values()
    role = next((role for role in roles if role.arn == getattr(definition, "task_role_arn", None)), None)
    documents = [json.loads(unquote(text)) for text in (role.policies.values() if role else ())]
    statements = [one for document in documents for one in _listed(document.get("Statement"))]
    return any(
        one.get("Effect") == "Allow" and _matches(one.get("Action"), action) and _matches(one.get("Resource"), resource)
        for one in statements
    )


def _matches(patterns: Any, text: str) -> bool:
    shapes = (re.escape(pattern).replace(r"\*", ".*") for pattern in _listed(patterns))
    return any(re.fullmatch(shape, text, re.IGNORECASE) for shape in shapes)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []
