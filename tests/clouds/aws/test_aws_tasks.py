"""ECS tasks as targets, from what DescribeTasks answers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_site import REF

from arriero.clouds.aws import tasks
from arriero.plan.model import TargetFacts


class CannedEcs:
    """An ECS that knows these tasks, and one task definition of release 7."""

    class exceptions:  # noqa: N801 - as SDK clients name it
        class ClusterNotFoundException(Exception): ...

        class ServiceNotFoundException(Exception): ...

    def __init__(self, found: list[dict[str, Any]]) -> None:
        self.tasks = found
        self.definitions_read = 0

    def get_paginator(self, _: str) -> CannedEcs:
        return self

    def paginate(self, cluster: str, desiredStatus: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        yield {"taskArns": [t["taskArn"] for t in self.tasks if t["desiredStatus"] == desiredStatus]}

    def describe_tasks(self, cluster: str, tasks: list[str], include: list[str]) -> dict[str, Any]:
        return {"tasks": [task for task in self.tasks if task["taskArn"] in tasks]}

    def describe_task_definition(self, taskDefinition: str) -> dict[str, Any]:  # noqa: N803
        self.definitions_read += 1
        container = {"name": "ollama", "dockerLabels": {"arriero-release": "7"}}
        return {"taskDefinition": {"containerDefinitions": [container]}}


def task(name: str, last: str, desired: str = "RUNNING", health: str | None = None, **more: Any) -> dict[str, Any]:
    container = {"name": "ollama", **({"healthStatus": health} if health else {}), **more.pop("container", {})}
    network = {"type": "ElasticNetworkInterface", "details": [{"name": "privateIPv4Address", "value": "10.64.0.9"}]}
    status = {"lastStatus": last, "desiredStatus": desired, **({"healthStatus": health} if health else {})}
    arns = {"taskArn": f"arn:aws:ecs:us-east-1:1:task/llm-aws-east/{name}", "taskDefinitionArn": "arn:d:1"}
    return {**arns, **status, "containers": [container], "attachments": [network], **more}


def read(*found: dict[str, Any]) -> tuple[TargetFacts, ...]:
    with ThreadPoolExecutor(2) as pool:
        return tasks.read(CannedEcs(list(found)), REF, pool)


@pytest.mark.parametrize(
    ("last", "desired", "health", "state"),
    [
        ("PROVISIONING", "RUNNING", None, "starting"),
        ("PENDING", "RUNNING", "UNKNOWN", "starting"),
        ("ACTIVATING", "RUNNING", None, "starting"),
        ("RUNNING", "RUNNING", "UNKNOWN", "loading"),
        ("RUNNING", "RUNNING", "UNHEALTHY", "loading"),
        ("RUNNING", "RUNNING", "HEALTHY", "ready"),
        ("RUNNING", "RUNNING", None, "ready"),
        ("RUNNING", "STOPPED", "HEALTHY", "draining"),
        ("DEACTIVATING", "STOPPED", "HEALTHY", "draining"),
        ("STOPPING", "STOPPED", None, "draining"),
        ("DEPROVISIONING", "STOPPED", None, "draining"),
        ("STOPPED", "STOPPED", None, "stopped"),
    ],
)
def test_a_tasks_state_follows_its_status_and_health(last: str, desired: str, health: str | None, state: str) -> None:
    [target] = read(task("a", last, desired, health))
    assert target.state == state


def test_a_target_has_its_interfaces_address_and_the_release_of_its_definition() -> None:
    assert read(task("a", "RUNNING", health="HEALTHY")) == (
        TargetFacts("a", "aws-east", "ready", "10.64.0.9:11434", 7, "llm-aws-east"),
    )


def test_a_stopped_task_says_why_and_has_no_address() -> None:
    gone = task(
        "a", "STOPPED", "STOPPED", stoppedReason="Essential container in task exited", container={"exitCode": 137}
    )
    [target] = read(gone)
    assert (target.address, target.reason) == ("", "Essential container in task exited (exit code 137)")


def test_a_task_whose_sidecar_died_alone_says_so() -> None:
    gone = task(
        "a", "STOPPED", "STOPPED", stoppedReason="Essential container in task exited", container={"exitCode": 0}
    )
    gone["containers"].append({"name": "sidecar", "exitCode": 137})
    [target] = read(gone)
    assert target.reason == "Essential container in task exited (container sidecar: exit code 137)"


def test_only_the_latest_stopped_tasks_are_shown() -> None:
    ended = [task(f"{n}", "STOPPED", "STOPPED", stoppedAt=datetime(2026, 1, 1, n, tzinfo=UTC)) for n in range(6)]
    assert [target.id for target in read(*ended, task("up", "RUNNING"))] == ["3", "4", "5", "up"]


def test_a_task_definition_is_read_once() -> None:
    ecs = CannedEcs([task("a", "RUNNING"), task("b", "RUNNING")])
    with ThreadPoolExecutor(2) as pool:
        tasks.read(ecs, REF, pool)
        tasks.read(ecs, REF, pool)
    assert ecs.definitions_read == 1
