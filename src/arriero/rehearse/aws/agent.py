"""The ECS container agent as a task's own containers see it at ECS_AGENT_URI: scale-in protection.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html. It acts in the name
of the task's role, so that role has to allow it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from arriero.rehearse.aws import permission
from arriero.rehearse.aws.ecs_task import StageTask

PATH = re.compile(r"/ecs-agent/([0-9a-f]+)/task-protection/v1/state")
_DEFAULT_MINUTES, _MOST_MINUTES = 120, 2880
_ALLOWS = {"GET": "ecs:GetTaskProtection", "PUT": "ecs:UpdateTaskProtection"}

Find = Callable[[str], StageTask | None]


class Agent:
    """`find` gives the running task of an id; `changed` is called when a protection changed."""

    def __init__(self, world: threading.RLock, find: Find, changed: Callable[[], None]) -> None:
        self._world, self._find, self._changed = world, find, changed

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes] | None:
        """Status and JSON; None for a path that is not the agent's."""
        match = PATH.fullmatch(path)
        if match is None:
            return None
        with self._world:
            status, content = self._answer(method, self._find(match[1]), body)
        return status, json.dumps(content).encode()

    def _answer(self, method: str, task: StageTask | None, body: bytes) -> tuple[int, dict[str, Any]]:
        if task is None:
            return 404, _error("", "ResourceNotFoundException", "there is no such task")
        action = _ALLOWS.get(method)
        if action is None:
            return 405, _error(task.task_arn, "InvalidParameterException", "GET or PUT")
        if not permission.is_allowed(task, action, task.task_arn):
            message = f"User: {task.task_arn} is not authorized to perform: {action} on resource: {task.task_arn}"
            return 400, _error(task.task_arn, "AccessDeniedException", message)
        if not task.service_name:
            failure = {"Arn": task.task_arn, "Detail": None, "Reason": "TASK_NOT_VALID"}
            return 200, {"failure": failure}
        if method == "PUT":
            try:
                task.protected_until = _until(json.loads(body))
            except (ValueError, KeyError, TypeError) as error:
                return 400, _error(task.task_arn, "InvalidParameterException", str(error))
            self._changed()
        return 200, {"protection": _protection(task)}


def _until(asked: dict[str, Any]) -> datetime | None:
    enabled, minutes = asked["ProtectionEnabled"], asked.get("ExpiresInMinutes", _DEFAULT_MINUTES)
    if not isinstance(enabled, bool) or not isinstance(minutes, int) or not 1 <= minutes <= _MOST_MINUTES:
        raise ValueError(f"ExpiresInMinutes has to be between 1 and {_MOST_MINUTES}")
    return datetime.now(UTC) + timedelta(minutes=minutes) if enabled else None


def _protection(task: StageTask) -> dict[str, Any]:
    until = task.protected_until if task.is_protected else None
    return {
        "ExpirationDate": until.strftime("%Y-%m-%dT%H:%M:%SZ") if until else None,
        "ProtectionEnabled": task.is_protected,
        "TaskArn": task.task_arn,
    }


def _error(arn: str, code: str, message: str) -> dict[str, Any]:
    return {"error": {"Arn": arn, "Code": code, "Message": message}}
