"""Secrets that Secrets Manager and SSM keep, as ECS gives them to containers: the value, or why a task can't start.

A value goes into the container's environment and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from arriero.rehearse.aws import permission, wording
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.spec import secret_values

_ACTIONS = {"secretsmanager": "secretsmanager:GetSecretValue", "ssm": "ssm:GetParameters"}


def values_of(task: StageTask, definition: Mapping[str, Any]) -> dict[str, str]:
    """What the container's `secrets` are, by variable."""
    rows = definition.get("secrets") or []
    found = ((row["name"], _value(task, str(row["valueFrom"]))) for row in rows)
    return {name: value for name, value in found if value is not None}


def what_a_secret_misses(task: StageTask, definition: Any) -> str:
    """Why a secret can't be had, in AWS's words; empty where all can."""
    return next(filter(None, (_problem(task, arn) for arn in _references(definition.container_definitions))), "")


def _references(containers: list[Mapping[str, Any]]) -> Iterator[str]:
    for container in containers:
        yield from (str(row["valueFrom"]) for row in container.get("secrets") or [])
        if login := (container.get("repositoryCredentials") or {}).get("credentialsParameter"):
            yield str(login)


def _problem(task: StageTask, arn: str) -> str:
    if not permission.ecs_may(task, _ACTIONS[secret_values.service_of(arn)], secret_values.whole(arn)):
        return wording.no_secret(arn, "AccessDeniedException")
    return "" if _value(task, arn) is not None else wording.no_secret(arn, "ResourceNotFoundException")


def _value(task: StageTask, arn: str) -> str | None:
    region, account = secret_values.region_of(arn), task._account_id
    if secret_values.service_of(arn) == secret_values.PARAMETERS:
        name, parameters = arn.partition(":parameter/")[2], ssm_backends[account][region]
        found = parameters.get_parameter(f"/{name}") or parameters.get_parameter(name)
        return str(found.decrypt(found.value)) if found else None
    whole, key = secret_values.whole(arn), arn.removeprefix(secret_values.whole(arn)).strip(":")
    kept = secretsmanager_backends[account][region].secrets.values()
    secret = next((each for each in kept if each.arn == whole), None)
    if secret is None:
        return None
    text = str(secret.versions[str(secret.default_version_id)].get("secret_string") or "")
    return str(json.loads(text)[key]) if key else text
