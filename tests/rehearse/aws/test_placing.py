"""Which machine of EC2 a task goes to, and how many machines are missing: the stage's own rules, without a cloud."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from arriero.rehearse.aws.placing import Need, Room, choose, machines_for, need_of, why_not

T4, L4 = (("ecs.instance-type", "g4dn.xlarge"),), (("ecs.instance-type", "g6.xlarge"),)
TARGET = Need(4096, 14336, 1, T4)


def room(name: str = "one", gpus: int = 1, memory: int = 15564, cpu: int = 4096, kind: str = "g4dn.xlarge") -> Room:
    return Room(name, cpu, memory, gpus, {"ecs.instance-type": kind})


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (room(), ""),
        (room(gpus=0), "has insufficient GPU resource available"),
        (room(memory=14335), "has insufficient memory available"),
        (room(cpu=4095), "has insufficient CPU units available"),
        (room(gpus=0, cpu=0), "has insufficient GPU resource available"),
        (room(kind="g6.xlarge"), "is missing an attribute required by your task"),
    ],
)
def test_a_machine_says_what_it_misses(there: Room, reason: str) -> None:
    assert there.misses(TARGET) == reason
    assert choose(TARGET, [there]) == (None if reason else there)


def test_the_fullest_machine_that_can_take_it_does() -> None:
    four, two = room("four", gpus=4, cpu=49152, memory=186777), room("two", gpus=2, cpu=8192, memory=31130)
    assert choose(TARGET, [four, two]) == two
    assert choose(TARGET, [four, two.without(TARGET).without(TARGET)]) == four


@pytest.mark.parametrize(
    ("waiting", "started", "gpus_each", "more"),
    [
        (0, [], 1, 0),
        (1, [], 1, 1),
        (3, [], 1, 3),
        (3, [room()], 1, 2),
        (1, [room()], 1, 0),
        (5, [], 4, 2),
        (4, [room(gpus=0)], 4, 1),
    ],
)
def test_so_many_machines_are_missing(waiting: int, started: list[Room], gpus_each: int, more: int) -> None:
    empty = room("empty", gpus=gpus_each, cpu=4096 * gpus_each, memory=15564 * gpus_each)
    assert machines_for([TARGET] * waiting, started, empty) == more


def test_what_fits_on_no_machine_starts_none() -> None:
    assert machines_for([Need(4096, 14336, 2, T4), Need(4096, 14336, 1, L4)], [], room()) == 0


def test_a_definition_says_what_its_task_needs() -> None:
    gpu = {"name": "ollama", "resourceRequirements": [{"type": "GPU", "value": "2"}]}
    given: dict[str, Any] = {
        "cpu": "4096",
        "memory": "14336",
        "container_definitions": [gpu, {"name": "sidecar", "memory": 256}],
        "placement_constraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type == g4dn.xlarge"}],
    }
    assert need_of(SimpleNamespace(**given)) == Need(4096, 14336, 2, T4)
    bare = {"cpu": None, "memory": None, "container_definitions": [{"name": "a", "cpu": 5, "memory": 7}]}
    assert need_of(SimpleNamespace(**bare, placement_constraints=None)) == Need(5, 7, 0)


def test_the_reason_is_that_of_the_nearest_machine() -> None:
    assert why_not(TARGET, []) == "No Container Instances were found in your capacity provider."
    said = why_not(TARGET, [room("far", gpus=0), room("near", memory=9)])
    assert said == "The closest matching container-instance near has insufficient memory available."
