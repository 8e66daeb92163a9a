"""EC2 machines under the emulated ECS: they join a cluster, tasks are placed on them, managed scaling says how many.

A machine of an autoscaling group joins when it has started, if its start script names a cluster that is there and its
profile lets it register; it has GPUs to give only with the image for GPUs and ECS_ENABLE_GPU_SUPPORT. What it has is
what EC2 says of its type. Called by the reconciler, with the world's lock.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-gpu.html, .../cluster-auto-scaling.html
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ecs.models import CapacityProvider, ContainerInstance
from moto.iam.models import iam_backends

from arriero.catalog import gpu_machines
from arriero.rehearse.aws import wording
from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.aws.placing import Need, Room, choose, machines_for, need_of, why_not
from arriero.rehearse.latency import Latency
from arriero.rehearse.meter import Usage

REGISTERS = "AmazonEC2ContainerServiceforEC2Role"
GPU_IMAGE = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
# Linux and the agent keep some of a machine's memory to themselves; how much differs by type.
_TOLD = 0.95
# The first machine comes with a second one: https://github.com/aws/containers-roadmap/issues/1716
_FROM_NONE = 2
# ECS lets a machine go that was idle for 15 minutes; here for as long times the latencies' scale, and this at least.
# https://github.com/aws/containers-roadmap/issues/1220
_IDLE_SECONDS, _LEAST_IDLE_SECONDS = 900.0, 3.0


class Machines:
    def __init__(self, latency: Latency) -> None:
        self._latency = latency
        self._seen: dict[tuple[str, str], float] = {}  # region and machine: since when, by the monotonic clock
        self._idle: dict[str, float] = {}

    def settle(self, backend: StageEcsBackend, now: float) -> None:
        """One look at the region's machines and at the tasks that wait for one; none where there are no machines."""
        if not backend.capacity_providers and not _registered(backend):
            return
        self._let_go(backend)
        for provider in list(backend.capacity_providers.values()):
            group = group_of(backend, provider)
            if group is None:
                continue
            self._join(backend, group, now)
            waiting = self._place(backend, provider, group)
            self._scale(backend, provider, group, waiting, now)

    def usages(self, backend: StageEcsBackend) -> Iterator[Usage]:
        """What EC2 bills: a machine by the hour, used or not, and its disk."""
        ec2 = ec2_backends[backend.account_id][backend.region_name]
        for machine in ec2.all_running_instances():
            tags = {tag["key"]: tag["value"] for tag in machine.get_tags()}
            disks = [ec2.volumes[each.volume_id] for _, each in machine.get_block_device_mapping]
            gib = sum(disk.size for disk in disks if disk.encrypted)  # not the one that moto adds to every machine
            yield Usage(backend.region_name, tags, {f"ec2.{machine.instance_type}": 1.0, "ec2.disk": float(gib)})

    def _join(self, backend: StageEcsBackend, group: Any, now: float) -> None:
        known = {each.ec2_instance_id for each in _registered(backend)}
        for state in group.active_instances():
            started = self._seen.setdefault((backend.region_name, state.instance.id), now)
            if state.instance.id in known or now < started + self._latency.seconds("ec2.machine_start"):
                continue
            settings = _settings(state.instance)
            cluster = backend.clusters.get(settings.get("ECS_CLUSTER", "default"))
            if cluster is not None and cluster.status == "ACTIVE" and _may_register(backend, group):
                made = backend.register_container_instance(cluster.name, state.instance.id)
                has_gpus = settings.get("ECS_ENABLE_GPU_SUPPORT") == "true" and _is_gpu_image(backend, state.instance)
                made.registered_resources = _resources(_shape(state.instance, with_gpus=has_gpus))

    def _let_go(self, backend: StageEcsBackend) -> None:
        """A machine that was terminated is gone from its cluster, and its tasks with it."""
        alive = {each.id for each in ec2_backends[backend.account_id][backend.region_name].all_running_instances()}
        for machine in _registered(backend):
            if machine.ec2_instance_id in alive:
                continue
            for task in _tasks_on(backend, machine):
                task.request_stop(wording.machine_gone(machine.ec2_instance_id), "TerminationNotice")
            backend.container_instances[machine.cluster_name].pop(machine.id)
            backend.clusters[machine.cluster_name].registered_container_instances_count -= 1
        here = [(region, name) for region, name in self._seen if region == backend.region_name]
        for region, name in here:
            if name not in alive:
                del self._seen[region, name]
                self._idle.pop(name, None)

    def _place(self, backend: StageEcsBackend, provider: CapacityProvider, group: Any) -> list[StageTask]:
        """Those that found no machine yet."""
        rooms = _rooms(backend, group)
        left = []
        for task in _waiting(backend, provider):
            need = need_of(backend.describe_task_definition(task.task_definition_arn))
            room = choose(need, rooms)
            if room is None:
                left.append(task)
                continue
            rooms[rooms.index(room)] = room.without(need)
            task.container_instance_arn = room.machine
            task.version += 1
        for machine in _registered(backend):
            machine.remaining_resources = _resources(_free(backend, machine))
            machine.running_tasks_count = len(_tasks_on(backend, machine))
        return left

    def _scale(
        self, backend: StageEcsBackend, provider: CapacityProvider, group: Any, waiting: Sequence[StageTask], now: float
    ) -> None:
        if provider.auto_scaling_group_provider["managedScaling"]["status"] != "ENABLED":
            return
        known = {each.ec2_instance_id for each in _registered(backend)}
        coming = [_shape(s.instance, with_gpus=True) for s in group.active_instances() if s.instance.id not in known]
        needs = [need_of(backend.describe_task_definition(task.task_definition_arn)) for task in waiting]
        empty = _type_shape(group.instance_type, group.name)
        more = machines_for(needs, coming, empty)
        there = len(group.active_instances())
        if more and not there:
            more = max(more, _FROM_NONE)
        if allowed := min(more, group.max_size - there):
            group.set_desired_capacity(there + allowed)
        is_full = there + more > group.max_size and not coming and not allowed
        for task, need in zip(waiting, needs, strict=True):
            if is_full or empty.misses(need):
                self._tell(backend, task, need, _rooms(backend, group))
        if not waiting:
            self._shrink(backend, group, now)

    def _tell(self, backend: StageEcsBackend, task: StageTask, need: Need, rooms: Sequence[Room]) -> None:
        service = backend.services.get(f"{task.cluster_name}:{task.service_name}")
        if service is not None:
            said = wording.not_placed(service.name, why_not(need, rooms))
            service.tell(said, once=said)

    def _shrink(self, backend: StageEcsBackend, group: Any, now: float) -> None:
        """A machine without tasks loses its protection, and the group ends it."""
        patience = max(_LEAST_IDLE_SECONDS, _IDLE_SECONDS * self._latency.scale)
        for machine in _registered(backend):
            state = next((s for s in group.active_instances() if s.instance.id == machine.ec2_instance_id), None)
            if state is None or _tasks_on(backend, machine):
                self._idle.pop(machine.ec2_instance_id, None)
                continue
            is_over = now >= self._idle.setdefault(machine.ec2_instance_id, now) + patience
            if is_over and len(group.active_instances()) > group.min_size:
                state.protected_from_scale_in = False
                group.autoscaling_backend.terminate_instance(machine.ec2_instance_id, should_decrement=True)


def group_of(backend: StageEcsBackend, provider: CapacityProvider) -> Any:
    """The autoscaling group behind a capacity provider; None where it is gone."""
    name = str(provider.auto_scaling_group_provider.get("autoScalingGroupArn", "")).rpartition("/")[2]
    return autoscaling_backends[backend.account_id][backend.region_name].autoscaling_groups.get(name)


def _waiting(backend: StageEcsBackend, provider: CapacityProvider) -> list[StageTask]:
    tasks = [task for tasks in backend.tasks.values() for task in tasks.values()]
    mine = [
        t
        for t in tasks
        if t.capacity_provider_name == provider.name and not t.container_instance_arn and not t.is_stopping
    ]
    return sorted(mine, key=lambda task: task.created_at)


def _registered(backend: StageEcsBackend) -> list[ContainerInstance]:
    return [each for machines in backend.container_instances.values() for each in machines.values()]


def _tasks_on(backend: StageEcsBackend, machine: ContainerInstance) -> list[StageTask]:
    tasks = backend.tasks.get(machine.cluster_name, {}).values()
    arn = machine.container_instance_arn
    return [task for task in tasks if task.container_instance_arn == arn and task.last_status != "STOPPED"]


def _rooms(backend: StageEcsBackend, group: Any) -> list[Room]:
    mine = {state.instance.id for state in group.active_instances()}
    return [_free(backend, each) for each in _registered(backend) if each.ec2_instance_id in mine]


def _free(backend: StageEcsBackend, machine: ContainerInstance) -> Room:
    told = {each["name"]: each for each in machine.registered_resources}
    room = Room(
        machine.container_instance_arn,
        told["CPU"]["integerValue"],
        told["MEMORY"]["integerValue"],
        len(told["GPU"]["stringSetValue"]) if "GPU" in told else 0,
        machine.attributes,
    )
    for task in _tasks_on(backend, machine):
        room = room.without(need_of(backend.describe_task_definition(task.task_definition_arn)))
    return room


def _shape(instance: Any, *, with_gpus: bool) -> Room:
    whole = _type_shape(instance.instance_type, instance.id)
    return whole if with_gpus else Room(whole.machine, whole.cpu, whole.memory, 0, whole.attributes)


def _type_shape(name: str, machine: str) -> Room:
    """An empty machine of that type."""
    if retired := next((each for each in gpu_machines.machines("aws") if each.retired and each.name == name), None):
        memory = int(retired.memory_gib * 1024 * _TOLD)  # EC2's answers, which moto has, tell of it no more
        return Room(machine, retired.cpu * 1024, memory, retired.gpus, {"ecs.instance-type": name})
    told = INSTANCE_TYPES[name]
    gpus = sum(each["Count"] for each in told.get("GpuInfo", {}).get("Gpus", ()))
    memory = int(told["MemoryInfo"]["SizeInMiB"] * _TOLD)
    return Room(machine, told["VCpuInfo"]["DefaultVCpus"] * 1024, memory, gpus, {"ecs.instance-type": name})


def _resources(room: Room) -> list[dict[str, Any]]:
    """As DescribeContainerInstances has them."""
    numbers = [("CPU", room.cpu), ("MEMORY", room.memory)]
    found: list[dict[str, Any]] = [
        {"name": name, "type": "INTEGER", "integerValue": value, "doubleValue": 0.0, "longValue": 0}
        for name, value in numbers
    ]
    gpus = [f"GPU-{room.machine.rpartition('/')[2]}-{number}" for number in range(room.gpus)]
    return [*found, {"name": "GPU", "type": "STRINGSET", "stringSetValue": gpus}] if gpus else found


def _settings(instance: Any) -> dict[str, str]:
    """What the start script writes into the agent's settings."""
    text = base64.b64decode(str(instance.user_data or "")).decode(errors="replace")
    lines = [line.split(">>")[0].strip() for line in text.splitlines() if line.startswith("echo ECS_")]
    return dict(line.removeprefix("echo ").split("=", 1) for line in lines if "=" in line)


def _may_register(backend: StageEcsBackend, group: Any) -> bool:
    """Whether the profile of the group's machines is there, with a role that may register them."""
    template = group.ec2_launch_template
    asked = template.latest_version().data.get("IamInstanceProfile", {}) if template else {}
    iam = iam_backends[backend.account_id]["aws"]
    profiles = [each for each in iam.instance_profiles.values() if each.arn == asked.get("Arn")]
    return any(REGISTERS in policy for each in profiles for role in each.roles for policy in role.managed_policies)


def _is_gpu_image(backend: StageEcsBackend, instance: Any) -> bool:
    return bool(instance.image_id == backend.parameter(GPU_IMAGE))
