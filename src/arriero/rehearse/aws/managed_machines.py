"""Machines that the emulated ECS has by itself (Managed Instances): one is started where a task waits, of the cheapest
type that is as its capacity provider asks; tasks are placed on it; when it is idle it goes.

ECS starts it as the provider's infrastructure role, which must be allowed to, and to hand it the role of its profile.
It joins if that role may register it, and if it has a way out: from a subnet that leads to an internet gateway only
with a public address, which the subnet has to give. Its image is ECS's own and has all that GPUs take. Called by the
reconciler, with the world's lock.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/managed-instances-infrastructure-optimization.html,
.../managed-instances-instance-profile.html, .../managed-instances-awsvpc-mode.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.iam.models import iam_backends

from arriero.catalog import catalog
from arriero.rehearse.aws import wording
from arriero.rehearse.aws.ecs_api import StageEcsBackend
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.aws.joined import MANAGED_TAG, free, place, registered, resources, tasks_on, tell, type_shape
from arriero.rehearse.aws.managed_api import ManagedProvider, fits, is_ecss
from arriero.rehearse.aws.permission import role_allows
from arriero.rehearse.aws.placing import Room, choose, need_of, why_not
from arriero.rehearse.latency import Latency

# An image of the same kind that moto knows; whose it is plays no part here.
_IMAGE = "ami-ecsmanaged00000000"
# Where a provider says nothing; AWS names no figure. Here times the latencies' scale, and this at least.
_IDLE_SECONDS, _LEAST_IDLE_SECONDS = 300.0, 3.0
_DATA, _DATA_GIB = "/dev/xvdb", 80
_UNKNOWN = Decimal("Infinity")


class ManagedMachines:
    def __init__(self, latency: Latency) -> None:
        self._latency = latency
        self._seen: dict[str, float] = {}  # machine: since when, by the monotonic clock
        self._idle: dict[str, float] = {}

    def settle(self, backend: StageEcsBackend, now: float) -> None:
        """One look at the region's providers of such machines, and at the tasks that wait for one."""
        providers: list[Any] = list(backend.capacity_providers.values())
        for provider in [each for each in providers if isinstance(each, ManagedProvider)]:
            alive = {each.id for each in _ec2(backend).all_running_instances()}
            provider.machines = [each for each in provider.machines if each in alive]
            if provider.status == "DEPROVISIONING":
                self._deprovision(backend, provider)
                continue
            if provider.status == "PROVISIONING":
                provider.status, provider.update_status = "ACTIVE", "CREATE_COMPLETE"
            self._join(backend, provider, now)
            waiting = place(backend, provider.name, _rooms(backend, provider))
            self._start(backend, provider, waiting)
            self._shrink(backend, provider, now)

    def _deprovision(self, backend: StageEcsBackend, provider: ManagedProvider) -> None:
        """Its machines go first, and it from its cluster with the last of them."""
        if provider.machines:
            _ec2(backend).terminate_instances(provider.machines)
        elif not any(getattr(each, "capacity_provider_name", "") == provider.name for each in registered(backend)):
            backend.forget_provider(provider)

    def _join(self, backend: StageEcsBackend, provider: ManagedProvider, now: float) -> None:
        known = {each.ec2_instance_id for each in registered(backend)}
        for name in provider.machines:
            started = self._seen.setdefault(name, now)
            is_up = now >= started + self._latency.seconds("ecs.managed_machine_start")
            if name in known or not is_up or not _may_join(backend, provider, name):
                continue
            made: Any = backend.register_container_instance(provider.cluster, name)
            made.capacity_provider_name = provider.name
            made.registered_resources = resources(type_shape(made.attributes["ecs.instance-type"], name))

    def _start(self, backend: StageEcsBackend, provider: ManagedProvider, waiting: Sequence[StageTask]) -> None:
        """A machine for each task that has no room on those that are coming; the tasks of none say why."""
        known = {each.ec2_instance_id for each in registered(backend)}
        coming = [_room(backend, name) for name in provider.machines if name not in known]
        for task in waiting:
            need = need_of(backend.describe_task_definition(task.task_definition_arn))
            room = choose(need, coming)
            if room is not None:
                coming[coming.index(room)] = room.without(need)
                continue
            kind = next((each for each in _kinds(backend, provider) if not type_shape(each, each).misses(need)), "")
            denied = _what_is_denied(backend, provider)
            if not kind or denied:
                tell(backend, task, denied or why_not(need, _rooms(backend, provider)))
                continue
            name = _run(backend, provider, kind)
            provider.machines.append(name)
            coming.append(type_shape(kind, name).without(need))

    def _shrink(self, backend: StageEcsBackend, provider: ManagedProvider, now: float) -> None:
        asked = provider.idle_seconds
        if asked == -1:
            return
        patience = max(_LEAST_IDLE_SECONDS, (_IDLE_SECONDS if asked is None else asked) * self._latency.scale)
        for machine in [each for each in registered(backend) if each.ec2_instance_id in provider.machines]:
            name = machine.ec2_instance_id
            if tasks_on(backend, machine):
                self._idle.pop(name, None)
            elif now >= self._idle.setdefault(name, now) + patience:
                _ec2(backend).terminate_instances([name])
                del self._idle[name]


def _ec2(backend: StageEcsBackend) -> Any:
    return ec2_backends[backend.account_id][backend.region_name]


def _kinds(backend: StageEcsBackend, provider: ManagedProvider) -> Iterator[str]:
    """The types that are as asked for, the cheapest first by the catalog's prices, then the smallest."""

    def rank(name: str) -> tuple[Decimal, int, int]:
        price = catalog.price("aws", backend.region_name, f"ec2.{name}")
        told = INSTANCE_TYPES[name]
        size = told["VCpuInfo"]["DefaultVCpus"], told["MemoryInfo"]["SizeInMiB"]
        return (price.amount if price else _UNKNOWN, *size)

    able = [name for name, told in INSTANCE_TYPES.items() if fits(told, provider.requirements)]
    yield from sorted(able, key=rank)


def _rooms(backend: StageEcsBackend, provider: ManagedProvider) -> list[Room]:
    return [free(backend, each) for each in registered(backend) if each.ec2_instance_id in provider.machines]


def _room(backend: StageEcsBackend, name: str) -> Room:
    return type_shape(_ec2(backend).get_instance(name).instance_type, name)


def _what_is_denied(backend: StageEcsBackend, provider: ManagedProvider) -> str:
    """Why the provider's infrastructure role can't start a machine; empty where it can."""
    account, arn = backend.account_id, str(provider.managed_instances_provider["infrastructureRoleArn"])
    if not is_ecss(account, arn):
        return wording.not_started(f"ECS was unable to assume the role '{arn}'.")
    given = {"aws:RequestTag/AmazonECSManaged": "true"}
    instances = f"arn:aws:ec2:{backend.region_name}:{account}:instance/*"
    wanted = [("ec2:RunInstances", instances, given)]
    passed = {"iam:PassedToService": "ec2.amazonaws.com"}
    wanted += [("iam:PassRole", role, passed) for role in _roles(provider, account)]
    for action, resource, context in wanted:
        if not role_allows(account, arn, action, resource, context):
            return wording.not_started(f"You are not authorized to perform {action} on {resource}.")
    return ""


def _roles(provider: ManagedProvider, account: str) -> list[str]:
    """That of the machines' profile."""
    arn = provider.template["ec2InstanceProfileArn"]
    profiles = iam_backends[account]["aws"].instance_profiles.values()
    return [role.arn for each in profiles if each.arn == arn for role in each.roles]


def _run(backend: StageEcsBackend, provider: ManagedProvider, kind: str) -> str:
    """The id of the machine that was started, in its subnets by turns."""
    network = provider.template["networkConfiguration"]
    subnets = network["subnets"]
    gib = (provider.template.get("storageConfiguration") or {}).get("storageSizeGiB", _DATA_GIB)
    handed = provider.tags if provider.managed_instances_provider.get("propagateTags") == "CAPACITY_PROVIDER" else ()
    tags = {MANAGED_TAG: "true", **{tag["key"]: tag["value"] for tag in handed or ()}}
    disk = {"VolumeSize": gib, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    made = _ec2(backend).run_instances(
        _IMAGE,
        1,
        None,
        [],
        instance_type=kind,
        is_instance_type_default=False,
        subnet_id=subnets[len(provider.machines) % len(subnets)],
        security_group_ids=list(network.get("securityGroups") or []),
        associate_public_ip=None,
        block_device_mappings=[{"DeviceName": _DATA, "Ebs": disk, "NoDevice": None}],
        tags={"instance": tags, "volume": tags},
    )
    return str(made.instances[0].id)


def _may_join(backend: StageEcsBackend, provider: ManagedProvider, name: str) -> bool:
    """Whether its role may register it, and whether it reaches ECS."""
    cluster = f"arn:aws:ecs:{backend.region_name}:{backend.account_id}:cluster/{provider.cluster}"
    roles = _roles(provider, backend.account_id)
    may = any(role_allows(backend.account_id, role, "ecs:RegisterContainerInstance", cluster) for role in roles)
    subnet = _ec2(backend).get_subnet(_ec2(backend).get_instance(name).subnet_id)
    return may and (subnet.map_public_ip_on_launch is True or not _leads_to_the_internet(backend, subnet))


def _leads_to_the_internet(backend: StageEcsBackend, subnet: Any) -> bool:
    tables = _ec2(backend).describe_route_tables()
    own = [each for each in tables if any(one.get("SubnetId") == subnet.id for one in each.associations)]
    main = [each for each in tables if each.main_association_id and each.vpc_id == subnet.vpc_id]
    table = next(iter([*own, *main]), None)
    routes = table.routes if table else ()
    gateways = (getattr(each.gateway, "id", "") for each in routes if each.destination_cidr_block == "0.0.0.0/0")
    return any(str(each).startswith("igw-") for each in gateways)
