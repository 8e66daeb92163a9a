"""File systems of EFS as a task mounts them: a folder of the stage for each access point's root, and what AWS would say
where the mount fails: no such file system, no way to it through the network, no permission.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends
from moto.efs.models import efs_backends

from arriero.rehearse.aws import permission, wording
from arriero.rehearse.aws.ecs_task import StageTask
from arriero.rehearse.processes import Processes

NFS = 2049
_MOUNT = "elasticfilesystem:ClientMount"


def volumes_of(task: StageTask, processes: Processes) -> dict[str, Path]:
    """The folder of each of the task's volumes, by name."""
    definition = task._backend.describe_task_definition(task.task_definition_arn)
    return {each["name"]: _folder(task, each, processes) for each in definition.volumes or []}


def what_a_mount_misses(task: StageTask, definition: Any) -> str:
    """Why a volume can't be mounted, in AWS's words; empty where all can."""
    wanted = [each["efsVolumeConfiguration"] for each in definition.volumes or [] if "efsVolumeConfiguration" in each]
    return next((problem for each in wanted if (problem := _problem(task, each))), "")


def _folder(task: StageTask, volume: Mapping[str, Any], processes: Processes) -> Path:
    efs = volume.get("efsVolumeConfiguration")
    if efs is None:
        return processes.volume(task.id, volume["name"])
    point = efs_backends[task._account_id][task.region_name].access_points.get(_point(efs))
    root = point.root_directory["Path"].strip("/") if point else ""
    return processes.storage("efs", efs["fileSystemId"], *filter(None, root.split("/")))


def _problem(task: StageTask, efs: Mapping[str, Any]) -> str:
    backend = efs_backends[task._account_id][task.region_name]
    system = backend.file_systems_by_id.get(efs["fileSystemId"])
    if system is None:
        return wording.no_file_system(efs["fileSystemId"], task.region_name)
    point = backend.access_points.get(_point(efs))
    if _point(efs) and (point is None or point.file_system_id != efs["fileSystemId"]):
        return wording.mount_failed(f"access point {_point(efs)} does not belong to the file system")
    targets = [each for each in backend.mount_targets_by_id.values() if each.file_system_id == efs["fileSystemId"]]
    near = [each for each in targets if each.vpc_id == _vpc(task)]
    if not near:
        return wording.no_file_system(efs["fileSystemId"], task.region_name)
    if not any(_lets_in(task, group) for each in near for group in each.security_groups or []):
        return wording.mount_failed("Connection timed out")
    is_asked = (efs.get("authorizationConfig") or {}).get("iam") == "ENABLED"
    tags = {
        f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in backend.list_tags_for_resource(system.file_system_id)
    }
    if is_asked and not permission.is_allowed(task, _MOUNT, system.file_system_arn, tags):
        return wording.mount_failed("mount.nfs4: access denied by server while mounting 127.0.0.1:/")
    return ""


def _point(efs: Mapping[str, Any]) -> str:
    return str((efs.get("authorizationConfig") or {}).get("accessPointId") or "")


def _vpc(task: StageTask) -> str:
    details = [each for attachment in task.attachments for each in attachment["details"]]
    subnet = next((each["value"] for each in details if each["name"] == "subnetId"), "")
    found = ec2_backends[task._account_id][task.region_name].get_subnet(subnet) if subnet else None
    return str(found.vpc_id) if found else ""


def _lets_in(task: StageTask, group: str) -> bool:
    found = ec2_backends[task._account_id][task.region_name].get_security_group_from_id(group)
    rules = found.ingress_rules if found else []
    return any(rule.ip_protocol == "-1" or int(rule.from_port or 0) <= NFS <= int(rule.to_port or 0) for rule in rules)
