"""Machines that are in clusters of the emulated ECS, whoever started them: what they have, and what runs on them.

What a machine has is what EC2 says of its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ecs.models import ContainerInstance

from arriero.catalog import gpu_machines
from arriero.rehearse.aws import wording
from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.aws.placing import Room, choose, need_of

# The tag on machines that ECS started by itself.
MANAGED_TAG = "AmazonECSManaged"
# Linux and the agent keep some of a machine's memory to themselves; how much differs by type.
_TOLD = 0.95


def registered(backend: StageEcsBackend) -> list[ContainerInstance]:
    return [each for machines in backend.container_instances.values() for each in machines.values()]


def place(backend: StageEcsBackend, provider: str, free_rooms: Sequence[Room]) -> list[StageTask]:
    """Gives tasks of that capacity provider their machines, the oldest first; returns those that found none yet."""
    rooms, left = list(free_rooms), []
    for task in _waiting(backend, provider):
        need = need_of(backend.describe_task_definition(task.task_definition_arn))
        room = choose(need, rooms)
        if room is None:
            left.append(task)
            continue
        rooms[rooms.index(room)] = room.without(need)
        task.container_instance_arn = room.machine
        task.version += 1
    for machine in registered(backend):
        machine.remaining_resources = resources(free(backend, machine))
        machine.running_tasks_count = len(tasks_on(backend, machine))
    return left


def tell(backend: StageEcsBackend, task: StageTask, why: str) -> None:
    """In the events of its service: that it can't be placed."""
    service = backend.services.get(f"{task.cluster_name}:{task.service_name}")
    if service is not None:
        said = wording.not_placed(service.name, why)
        service.tell(said, once=said)


def tasks_on(backend: StageEcsBackend, machine: ContainerInstance) -> list[StageTask]:
    tasks = backend.tasks.get(machine.cluster_name, {}).values()
    arn = machine.container_instance_arn
    return [task for task in tasks if task.container_instance_arn == arn and task.last_status != "STOPPED"]


def free(backend: StageEcsBackend, machine: ContainerInstance) -> Room:
    told = {each["name"]: each for each in machine.registered_resources}
    room = Room(
        machine.container_instance_arn,
        told["CPU"]["integerValue"],
        told["MEMORY"]["integerValue"],
        len(told["GPU"]["stringSetValue"]) if "GPU" in told else 0,
        machine.attributes,
    )
    for task in tasks_on(backend, machine):
        room = room.without(need_of(backend.describe_task_definition(task.task_definition_arn)))
    return room


def type_shape(name: str, machine: str) -> Room:
    """An empty machine of that type."""
    if retired := next((each for each in gpu_machines.machines("aws") if each.retired and each.name == name), None):
        memory = int(retired.memory_gib * 1024 * _TOLD)  # EC2's answers, which moto has, tell of it no more
        return Room(machine, retired.cpu * 1024, memory, retired.gpus, {"ecs.instance-type": name})
    told = INSTANCE_TYPES[name]
    gpus = sum(each["Count"] for each in told.get("GpuInfo", {}).get("Gpus", ()))
    memory = int(told["MemoryInfo"]["SizeInMiB"] * _TOLD)
    return Room(machine, told["VCpuInfo"]["DefaultVCpus"] * 1024, memory, gpus, {"ecs.instance-type": name})


def resources(room: Room) -> list[dict[str, Any]]:
    """As DescribeContainerInstances has them."""
    numbers = [("CPU", room.cpu), ("MEMORY", room.memory)]
    found: list[dict[str, Any]] = [
        {"name": name, "type": "INTEGER", "integerValue": value, "doubleValue": 0.0, "longValue": 0}
        for name, value in numbers
    ]
    gpus = [f"GPU-{room.machine.rpartition('/')[2]}-{number}" for number in range(room.gpus)]
    return [*found, {"name": "GPU", "type": "STRINGSET", "stringSetValue": gpus}] if gpus else found


def _waiting(backend: StageEcsBackend, provider: str) -> list[StageTask]:
    tasks = [task for tasks in backend.tasks.values() for task in tasks.values()]
    mine = [
        t for t in tasks if t.capacity_provider_name == provider and not t.container_instance_arn and not t.is_stopping
    ]
    return sorted(mine, key=lambda task: task.created_at)
