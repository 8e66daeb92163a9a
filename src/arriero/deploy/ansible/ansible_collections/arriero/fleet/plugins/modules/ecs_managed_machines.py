#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets ECS have machines for a cluster by itself (Managed Instances); and takes them away again."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_managed_machines
short_description: Make a capacity provider of ECS Managed Instances, or take it away
version_added: 0.1.0
description:
  - No module knows capacity providers of Managed Instances. One belongs to its cluster from when it is made; the
    cluster itself can't be told of it.
options:
  name:
    description: The capacity provider's name.
    type: str
    required: true
  cluster:
    description: The cluster that it is for.
    type: str
    required: true
  state:
    description:
      - V(present) makes it, or sets what differs, and waits until it can be used. One that ECS can't change, for
        another cluster or another way to pay machines, is made anew.
      - V(absent) deletes it and waits until it is gone, and its machines with it.
    type: str
    choices: [present, absent]
    default: present
  configuration:
    description: What CreateCapacityProvider takes as managedInstancesProvider, but for its network.
    type: dict
    default: {}
  subnets:
    description: Ids of the subnets that machines start in.
    type: list
    elements: str
    default: []
  security_groups:
    description: Ids of the machines' security groups.
    type: list
    elements: str
    default: []
  tags:
    description: Its tags.
    type: dict
    default: {}
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
- name: Let ECS have machines with a T4
  arriero.fleet.ecs_managed_machines:
    name: managed-llm-east
    cluster: llm-east
    configuration:
      infrastructureRoleArn: arn:aws:iam::123456789012:role/llm-east-infra
      instanceLaunchTemplate:
        ec2InstanceProfileArn: arn:aws:iam::123456789012:instance-profile/llm-east-machine
        instanceRequirements:
          vCpuCount: {min: 4}
          memoryMiB: {min: 14336}
          acceleratorNames: [t4]
    subnets: [subnet-0a1b2c3d]
    security_groups: [sg-0a1b2c3d]
"""

RETURN = r"""
capacity_provider_arn:
  description: The capacity provider; empty if there is none.
  returned: success
  type: str
  sample: arn:aws:ecs:us-east-1:123456789012:capacity-provider/managed-llm-east
"""

import time  # noqa: E402

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.arriero.fleet.plugins.module_utils.standing import Standing  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

# While the cluster or the provider is being changed, or tasks and services still let go of it.
BUSY = ("ResourceInUseException", "UpdateInProgressException")
# IAM tells of a new role and its policies late; ECS takes the role on at once.
EARLY = ("is not authorized", "unable to assume", "cannot be assumed")
# What UpdateCapacityProvider has no word for.
FIXED = "capacityOptionType"
TEMPLATE = "instanceLaunchTemplate"


class Machines(Standing):
    """One capacity provider, by which ECS has machines for one cluster."""

    def __init__(self, module):
        super().__init__(module, "ecs", f"the capacity provider {module.params['name']}")
        self.named = {"name": self.asked["name"], "cluster": self.asked["cluster"]}

    def tags(self):
        return [{"key": key, "value": value} for key, value in self.asked["tags"].items()]

    def find(self):
        """A deleted one is described as INACTIVE for some time."""
        name = self.asked["name"]
        answer = self.client.describe_capacity_providers(aws_retry=True, capacityProviders=[name], include=["TAGS"])
        return next((each for each in answer["capacityProviders"] if each["status"] != "INACTIVE"), None)

    def wanted(self):
        network = {"subnets": self.asked["subnets"], "securityGroups": self.asked["security_groups"]}
        template = {**self.asked["configuration"][TEMPLATE], "networkConfiguration": network}
        return {**self.asked["configuration"], TEMPLATE: template}

    def make(self):
        found = self.find()
        if found and self.has_to_go(found):
            self.remove()
            found = None
        if found is None:
            self.changed = True
            self.until(self.is_made, "made")
        elif self.differs(found):
            self.changed = True
            self.until(self.is_set, "changed")
        self.until(self.is_usable)
        return self.tag()

    def has_to_go(self, found):
        held = found.get("managedInstancesProvider", {}).get(TEMPLATE, {})
        is_paid_otherwise = held.get(FIXED) != self.wanted()[TEMPLATE].get(FIXED, held.get(FIXED))
        of = found.get("cluster", "").split("/")[-1]
        return found["status"] == "DEPROVISIONING" or is_paid_otherwise or of != self.asked["cluster"]

    def differs(self, found):
        """Of the requirements all is compared, of the rest what is asked for."""
        wanted, held = self.wanted(), found["managedInstancesProvider"]
        template = {key: held[TEMPLATE].get(key) for key in wanted[TEMPLATE]}
        return ordered({**{key: held.get(key) for key in wanted}, TEMPLATE: template}) != ordered(wanted)

    def is_made(self):
        try:
            self.client.create_capacity_provider(**self.named, managedInstancesProvider=self.wanted(), tags=self.tags())
        except ClientError as error:
            if not self.may_try_again(error):
                raise
            return False
        return True

    def is_set(self):
        wanted = self.wanted()
        template = {key: value for key, value in wanted[TEMPLATE].items() if key != FIXED}
        try:
            self.client.update_capacity_provider(**self.named, managedInstancesProvider={**wanted, TEMPLATE: template})
        except ClientError as error:
            if not self.may_try_again(error):
                raise
            return False
        return True

    def may_try_again(self, error):
        """ECS's own words stand at the end of the time that there is."""
        told = error.response["Error"]
        is_early = told["Code"] == "ClientException" and any(each in told["Message"] for each in EARLY)
        return time.monotonic() <= self.deadline and (is_early or told["Code"] in BUSY)

    def is_usable(self):
        found = self.find()
        if found is None or found.get("updateStatus", "").endswith("_FAILED"):
            reason = (found or {}).get("updateStatusReason", "it is gone again")
            raise LookupError(f"ECS could not have {self.what}: {reason}")
        return found["status"] == "ACTIVE" and not found.get("updateStatus", "").endswith("_IN_PROGRESS")

    def tag(self):
        """Its ARN, once it carries the tags."""
        found = self.find()
        if [tag for tag in self.tags() if tag not in found.get("tags", [])]:
            self.changed = True
            self.client.tag_resource(aws_retry=True, resourceArn=found["capacityProviderArn"], tags=self.tags())
        return found["capacityProviderArn"]

    def remove(self):
        if self.find() is not None:
            self.changed = True
            self.until(self.is_let_go, "gone")
            self.until(lambda: self.find() is None, "gone")
        return ""

    def is_let_go(self):
        found = self.find()
        if found is None or found["status"] == "DEPROVISIONING":
            return True
        try:
            self.client.delete_capacity_provider(
                capacityProvider=self.asked["name"], cluster=found.get("cluster", self.asked["cluster"])
            )
        except ClientError as error:
            told = error.response["Error"]
            if told["Code"] not in BUSY and "still associated" not in told["Message"]:
                raise
            return False
        return True


def ordered(value):
    """Lists sorted, and what says nothing left out."""
    if isinstance(value, dict):
        return {key: ordered(part) for key, part in value.items() if part not in (None, {}, [])}
    return sorted(value) if isinstance(value, list) else value


def main():
    arguments = {
        "name": {"type": "str", "required": True},
        "cluster": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "configuration": {"type": "dict", "default": {}},
        "subnets": {"type": "list", "elements": "str", "default": []},
        "security_groups": {"type": "list", "elements": "str", "default": []},
        "tags": {"type": "dict", "default": {}},
        "timeout": {"type": "int", "default": 300},
    }
    module = AnsibleAWSModule(
        argument_spec=arguments,
        required_if=[("state", "present", ("configuration", "subnets", "security_groups"))],
        supports_check_mode=False,
    )
    machines = Machines(module)
    try:
        arn = machines.answered(module, machines.make if module.params["state"] == "present" else machines.remove)
    except LookupError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=machines.changed, capacity_provider_arn=arn)


if __name__ == "__main__":
    main()
