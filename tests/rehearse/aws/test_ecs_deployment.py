from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from arriero.rehearse.aws.capacity import next_provider
from arriero.rehearse.aws.deployment import Decision, DeploymentView, ServiceView, TaskView, breaker_threshold, decide

CASES = sorted((Path(__file__).parents[2] / "cases" / "ecs_deployment").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_next_move_of_a_service(case: Path) -> None:
    told: dict[str, Any] = YAML(typ="safe").load(case.read_text())
    service = ServiceView(
        deployments=tuple(DeploymentView(**{"rollout": "IN_PROGRESS", **one}) for one in told["deployments"]),
        tasks=tuple(task(number, line) for number, line in enumerate(told["tasks"])),
        **told["service"],
    )
    wanted = {**told["decision"], "stop": tuple(map(str, told["decision"].get("stop", ())))}
    assert decide(service) == Decision(**wanted)


def task(number: int, line: str) -> TaskView:
    deployment, phase, *marks = line.split()
    return TaskView(str(number), deployment, phase, is_protected="protected" in marks)  # type: ignore[arg-type]


def test_there_are_cases() -> None:
    assert len(CASES) >= 20


@pytest.mark.parametrize(("desired", "threshold"), [(1, 3), (6, 3), (7, 4), (25, 13), (400, 200), (800, 200)])
def test_the_breaker_waits_for_half_but_three_at_least_and_two_hundred_at_most(desired: int, threshold: int) -> None:
    assert breaker_threshold(desired) == threshold


def test_the_base_is_filled_first_and_the_weights_share_the_rest() -> None:
    strategy = [
        {"capacityProvider": "FARGATE", "base": 2, "weight": 1},
        {"capacityProvider": "FARGATE_SPOT", "base": 0, "weight": 3},
    ]
    running: dict[str, int] = {}
    for _ in range(10):
        chosen = next_provider(strategy, running)
        running[chosen] = running.get(chosen, 0) + 1
    assert running == {"FARGATE": 4, "FARGATE_SPOT": 6}


def test_without_a_strategy_there_is_no_provider() -> None:
    assert next_provider([], {}) == ""
