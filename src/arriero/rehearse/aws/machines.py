"""EC2 machines under the emulated ECS: they join a cluster, tasks are placed on them, managed scaling says how many.

A machine of an autoscaling group joins when it has started, if its start script names a cluster that is there and its
profile lets it register; it has GPUs to give only with the image for GPUs and ECS_ENABLE_GPU_SUPPORT. Those that ECS
starts by itself are `managed_machines.py`'s. Called by the reconciler, with the world's lock.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-gpu.html, .../cluster-auto-scaling.html
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.ecs.models import CapacityProvider
from moto.iam.models import iam_backends

from arriero.rehearse.aws import wording
from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.aws.joined import (
    MANAGED_TAG,
    free,
    place,
    registered,
    resources,
    tasks_on,
    tell,
    type_shape,
)
from arriero.rehearse.aws.placing import Room, machines_for, need_of, why_not
from arriero.rehearse.latency import Latency
from arriero.rehearse.meter import Usage

REGISTERS = "AmazonEC2ContainerServiceforEC2Role"
GPU_IMAGE = "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
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
        if not backend.capacity_providers and not registered(backend):
            return
        self._let_go(backend)
        for provider in list(backend.capacity_providers.values()):
            group = group_of(backend, provider)
            if group is None:
                continue
            self._join(backend, group, now)
            waiting = place(backend, provider.name, _rooms(backend, group))
            self._scale(backend, provider, group, waiting, now)

    def usages(self, backend: StageEcsBackend) -> Iterator[Usage]:
        """What EC2 bills: a machine by the hour, used or not, and its disk; and ECS for those that it has by itself."""
        ec2 = ec2_backends[backend.account_id][backend.region_name]
        for machine in ec2.all_running_instances():
            tags = {tag["key"]: tag["value"] for tag in machine.get_tags()}
            disks = [ec2.volumes[each.volume_id] for _, each in machine.get_block_device_mapping]
            gib = sum(disk.size for disk in disks if disk.encrypted)  # not the one that moto adds to every machine
            fee = {f"ecs.managed.{machine.instance_type}": 1.0} if tags.get(MANAGED_TAG) == "true" else {}
            items = {f"ec2.{machine.instance_type}": 1.0, "ec2.disk": float(gib), **fee}
            yield Usage(backend.region_name, tags, items)

    def _join(self, backend: StageEcsBackend, group: Any, now: float) -> None:
        known = {each.ec2_instance_id for each in registered(backend)}
        for state in group.active_instances():
            started = self._seen.setdefault((backend.region_name, state.instance.id), now)
            if state.instance.id in known or now < started + self._latency.seconds("ec2.machine_start"):
                continue
            settings = _settings(state.instance)
            cluster = backend.clusters.get(settings.get("ECS_CLUSTER", "default"))
            if cluster is not None and cluster.status == "ACTIVE" and _may_register(backend, group):
                made = backend.register_container_instance(cluster.name, state.instance.id)
                has_gpus = settings.get("ECS_ENABLE_GPU_SUPPORT") == "true" and _is_gpu_image(backend, state.instance)
                made.registered_resources = resources(_shape(state.instance, with_gpus=has_gpus))

    def _let_go(self, backend: StageEcsBackend) -> None:
        """A machine that was terminated is gone from its cluster, and its tasks with it."""
        alive = {each.id for each in ec2_backends[backend.account_id][backend.region_name].all_running_instances()}
        for machine in registered(backend):
            if machine.ec2_instance_id in alive:
                continue
            for task in tasks_on(backend, machine):
                task.request_stop(wording.machine_gone(machine.ec2_instance_id), "TerminationNotice")
            backend.container_instances[machine.cluster_name].pop(machine.id)
            backend.clusters[machine.cluster_name].registered_container_instances_count -= 1
        here = [(region, name) for region, name in self._seen if region == backend.region_name]
        for region, name in here:
            if name not in alive:
                del self._seen[region, name]
                self._idle.pop(name, None)

    def _scale(
        self, backend: StageEcsBackend, provider: CapacityProvider, group: Any, waiting: Sequence[StageTask], now: float
    ) -> None:
        if provider.auto_scaling_group_provider["managedScaling"]["status"] != "ENABLED":
            return
        known = {each.ec2_instance_id for each in registered(backend)}
        coming = [_shape(s.instance, with_gpus=True) for s in group.active_instances() if s.instance.id not in known]
        needs = [need_of(backend.describe_task_definition(task.task_definition_arn)) for task in waiting]
        empty = type_shape(group.instance_type, group.name)
        more = machines_for(needs, coming, empty)
        there = len(group.active_instances())
        if more and not there:
            more = max(more, _FROM_NONE)
        if allowed := min(more, group.max_size - there):
            group.set_desired_capacity(there + allowed)
        is_full = there + more > group.max_size and not coming and not allowed
        for task, need in zip(waiting, needs, strict=True):
            if is_full or empty.misses(need):
                tell(backend, task, why_not(need, _rooms(backend, group)))
        if not waiting:
            self._shrink(backend, group, now)

    def _shrink(self, backend: StageEcsBackend, group: Any, now: float) -> None:
        """A machine without tasks loses its protection, and the group ends it."""
        patience = max(_LEAST_IDLE_SECONDS, _IDLE_SECONDS * self._latency.scale)
        for machine in registered(backend):
            state = next((s for s in group.active_instances() if s.instance.id == machine.ec2_instance_id), None)
            if state is None or tasks_on(backend, machine):
                self._idle.pop(machine.ec2_instance_id, None)
                continue
            is_over = now >= self._idle.setdefault(machine.ec2_instance_id, now) + patience
            if is_over and len(group.active_instances()) > group.min_size:
                state.protected_from_scale_in = False
                group.autoscaling_backend.terminate_instance(machine.ec2_instance_id, should_decrement=True)


def group_of(backend: StageEcsBackend, provider: CapacityProvider) -> Any:
    """The autoscaling group behind a capacity provider; None where it is gone."""
    name = str((provider.auto_scaling_group_provider or {}).get("autoScalingGroupArn", "")).rpartition("/")[2]
    return autoscaling_backends[backend.account_id][backend.region_name].autoscaling_groups.get(name)


def _rooms(backend: StageEcsBackend, group: Any) -> list[Room]:
    mine = {state.instance.id for state in group.active_instances()}
    return [free(backend, each) for each in registered(backend) if each.ec2_instance_id in mine]


def _shape(instance: Any, *, with_gpus: bool) -> Room:
    whole = type_shape(instance.instance_type, instance.id)
    return whole if with_gpus else Room(whole.machine, whole.cpu, whole.memory, 0, whole.attributes)


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
