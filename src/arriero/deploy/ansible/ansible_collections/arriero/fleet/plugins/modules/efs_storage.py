#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a file system of EFS with what tasks need to mount it, and takes it away."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: efs_storage
short_description: Make an encrypted EFS file system with an access point and mount targets
version_added: 0.1.0
description:
  - M(community.aws.efs) knows neither access points nor elastic throughput.
  - A file system is known by its creation token, so one that a former run made is taken up again.
options:
  name:
    description: The creation token, and the Name tag.
    type: str
    required: true
  state:
    description:
      - V(present) makes what is missing and sets what differs.
      - V(detached) takes the mount targets away and keeps the data.
      - V(absent) takes everything away, the data too.
    type: str
    choices: [present, detached, absent]
    default: present
  tags:
    description: Tags of the file system and of its access point.
    type: dict
    default: {}
  throughput_mode:
    description: How its throughput is given and billed.
    type: str
    choices: [bursting, elastic, provisioned]
    default: elastic
  provisioned_mibps:
    description: MiB a second to be provisioned, with O(throughput_mode=provisioned).
    type: int
    default: 0
  root:
    description: The folder that the access point shows as its root.
    type: str
    default: /
  user:
    description: The number of the user and group that every access through the access point acts as.
    type: int
    default: 0
  subnets:
    description: Ids of the subnets to have a mount target in.
    type: list
    elements: str
    default: []
  security_group:
    description: The id of the mount targets' security group.
    type: str
    default: ""
  timeout:
    description: How many seconds to wait for AWS.
    type: int
    default: 300
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Keep models on a file system
  arriero.fleet.efs_storage:
    name: llm-east
    root: /models
    user: 10001
    subnets: [subnet-0a1b2c3d, subnet-1a2b3c4d]
    security_group: sg-0a1b2c3d
"""

RETURN = r"""
file_system_id:
  description: The file system; empty if there is none.
  returned: success
  type: str
  sample: fs-0a1b2c3d
access_point_id:
  description: The access point; empty if there is none.
  returned: success
  type: str
  sample: fsap-0a1b2c3d
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.arriero.fleet.plugins.module_utils.standing import Standing  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402


class Storage(Standing):
    """One file system and what hangs on it."""

    def __init__(self, module):
        super().__init__(module, "efs", f"the file system {module.params['name']}")
        self.module = module
        self.asked = {**self.asked, "tags": {**self.asked["tags"], "Name": self.asked["name"]}}

    def file_system(self):
        found = self.client.describe_file_systems(aws_retry=True, CreationToken=self.asked["name"])["FileSystems"]
        return found[0] if found else None

    def access_points(self, name):
        return self.client.describe_access_points(aws_retry=True, FileSystemId=name)["AccessPoints"]

    def mount_targets(self, name):
        return self.client.describe_mount_targets(aws_retry=True, FileSystemId=name)["MountTargets"]

    def make(self):
        system = self.file_system()
        if system is None:
            self.changed = True
            system = self.client.create_file_system(
                aws_retry=True,
                CreationToken=self.asked["name"],
                Encrypted=True,
                Tags=self.tags(),
                **self.throughput(),
            )
        name = system["FileSystemId"]
        self.until(lambda: self.file_system()["LifeCycleState"] == "available")
        if any(system.get(key) != value for key, value in self.throughput().items()):
            self.changed = True
            self.change_throughput(name)
            self.until(lambda: self.file_system()["LifeCycleState"] == "available")
        wanted, found = self.tags(), system.get("Tags", [])
        if [tag for tag in wanted if tag not in found]:
            self.changed = True
            self.client.tag_resource(aws_retry=True, ResourceId=name, Tags=wanted)
        self.mount(name)
        return name, self.access_point(name)

    def throughput(self):
        """As EFS is asked for it."""
        mode = {"ThroughputMode": self.asked["throughput_mode"]}
        amount = float(self.asked["provisioned_mibps"])
        return {**mode, "ProvisionedThroughputInMibps": amount} if mode["ThroughputMode"] == "provisioned" else mode

    def change_throughput(self, name):
        """EFS says TooManyRequests to what it takes once a day, which to try again for minutes is of no use."""
        try:
            self.client.update_file_system(FileSystemId=name, **self.throughput())
        except ClientError as error:
            if error.response["Error"]["Code"] != "TooManyRequests":
                raise
            said = error.response["Error"]["Message"].rstrip(".")
            self.module.fail_json(msg=f"{self.asked['name']}: {said} | wait, or put storage.throughput back until then")

    def access_point(self, name):
        root, user = self.asked["root"], self.asked["user"]
        for point in self.access_points(name):
            if point["RootDirectory"]["Path"] == root and (point.get("PosixUser") or {}).get("Uid") == user:
                return point["AccessPointId"]
        self.changed = True
        owner = {"OwnerUid": user, "OwnerGid": user, "Permissions": "0755"}
        made = self.client.create_access_point(
            aws_retry=True,
            ClientToken=f"{self.asked['name']}-{user}"[:64],
            FileSystemId=name,
            PosixUser={"Uid": user, "Gid": user},
            RootDirectory={"Path": root, "CreationInfo": owner},
            Tags=self.tags(),
        )
        return made["AccessPointId"]

    def mount(self, name):
        group, subnets = self.asked["security_group"], self.asked["subnets"]
        there = {target["SubnetId"]: target["MountTargetId"] for target in self.mount_targets(name)}
        for subnet, target in there.items():
            if subnet not in subnets:
                self.changed = True
                self.client.delete_mount_target(aws_retry=True, MountTargetId=target)
                continue
            has = self.client.describe_mount_target_security_groups(aws_retry=True, MountTargetId=target)[
                "SecurityGroups"
            ]
            if has != [group]:
                self.changed = True
                self.client.modify_mount_target_security_groups(
                    aws_retry=True, MountTargetId=target, SecurityGroups=[group]
                )
        for subnet in subnets:
            if subnet not in there:
                self.changed = True
                self.client.create_mount_target(
                    aws_retry=True, FileSystemId=name, SubnetId=subnet, SecurityGroups=[group]
                )
        self.until(lambda: {each["LifeCycleState"] for each in self.mount_targets(name)} <= {"available"})

    def remove(self, with_data):
        system = self.file_system()
        if system is None:
            return "", ""
        name = system["FileSystemId"]
        for target in self.mount_targets(name):
            self.changed = True
            self.client.delete_mount_target(aws_retry=True, MountTargetId=target["MountTargetId"])
        self.until(lambda: not self.mount_targets(name), "gone")
        if not with_data:
            return name, ""
        for point in self.access_points(name):
            self.client.delete_access_point(aws_retry=True, AccessPointId=point["AccessPointId"])
        self.changed = True
        self.client.delete_file_system(aws_retry=True, FileSystemId=name)
        self.until(lambda: self.file_system() is None, "gone")
        return "", ""


def main():
    arguments = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "detached", "absent"], "default": "present"},
        "tags": {"type": "dict", "default": {}},
        "throughput_mode": {"type": "str", "choices": ["bursting", "elastic", "provisioned"], "default": "elastic"},
        "provisioned_mibps": {"type": "int", "default": 0},
        "root": {"type": "str", "default": "/"},
        "user": {"type": "int", "default": 0},
        "subnets": {"type": "list", "elements": "str", "default": []},
        "security_group": {"type": "str", "default": ""},
        "timeout": {"type": "int", "default": 300},
    }
    needed = [("throughput_mode", "provisioned", ["provisioned_mibps"])]
    module = AnsibleAWSModule(argument_spec=arguments, required_if=needed, supports_check_mode=False)
    storage, state = Storage(module), module.params["state"]
    system, point = storage.answered(
        module, storage.make if state == "present" else lambda: storage.remove(with_data=state == "absent")
    )
    module.exit_json(changed=storage.changed, file_system_id=system, access_point_id=point)


if __name__ == "__main__":
    main()
