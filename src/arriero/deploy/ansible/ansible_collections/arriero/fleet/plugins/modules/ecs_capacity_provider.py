#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lets ECS start and stop the machines of an autoscaling group by the tasks that wait; and takes that away again."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_capacity_provider
short_description: Make an ECS capacity provider of an autoscaling group, or take it away
version_added: 0.1.0
description:
  - No module knows capacity providers. M(amazon.aws.autoscaling_group) has no parameter for the protection from
    scale-in that managed termination protection needs, so this one sets it.
  - Managed scaling, managed termination protection and managed draining are on.
options:
  name:
    description: The capacity provider's name.
    type: str
    required: true
  state:
    description:
      - V(present) makes it, or sets what differs. A provider of another group is made anew.
      - V(absent) takes it off the cluster, deletes it and waits until it is gone.
    type: str
    choices: [present, absent]
    default: present
  group:
    description: The autoscaling group.
    type: str
    default: ""
  target:
    description: How much of the machines ECS shall keep in use, in percent.
    type: int
    default: 100
  cluster:
    description: The cluster that it is taken off first.
    type: str
    default: ""
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
- name: Let ECS start and stop machines
  arriero.fleet.ecs_capacity_provider:
    name: gpu-llm-east
    group: llm-east
    tags:
      arriero-site: east
"""

RETURN = r"""
capacity_provider_arn:
  description: The capacity provider; empty if there is none.
  returned: success
  type: str
  sample: arn:aws:ecs:us-east-1:123456789012:capacity-provider/gpu-llm-east
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry  # noqa: E402
from ansible_collections.arriero.fleet.plugins.module_utils.standing import Standing  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

# While tasks or services still let go of it, and while another change of the cluster is under way.
BUSY = ("ResourceInUseException", "UpdateInProgressException")


class Provider(Standing):
    """One capacity provider and the group behind it."""

    def __init__(self, module):
        super().__init__(module, "ecs", f"the capacity provider {module.params['name']}")
        self.groups = module.client("autoscaling", retry_decorator=AWSRetry.jittered_backoff())

    def tags(self):
        return [{"key": key, "value": value} for key, value in self.asked["tags"].items()]

    def find(self):
        """A deleted one is described as INACTIVE for some time."""
        name = self.asked["name"]
        answer = self.client.describe_capacity_providers(aws_retry=True, capacityProviders=[name], include=["TAGS"])
        return next((each for each in answer["capacityProviders"] if each["status"] != "INACTIVE"), None)

    def make(self):
        group = self.protected_group()
        found = self.find()
        if found and found["autoScalingGroupProvider"]["autoScalingGroupArn"] not in (group, self.asked["group"]):
            self.remove()
            found = None
        if found is None:
            self.changed = True
            made = self.client.create_capacity_provider(
                aws_retry=True,
                name=self.asked["name"],
                autoScalingGroupProvider={"autoScalingGroupArn": group, **self.settings()},
                tags=self.tags(),
            )
            return made["capacityProvider"]["capacityProviderArn"]
        self.update(found)
        return found["capacityProviderArn"]

    def settings(self):
        return {
            "managedScaling": {"status": "ENABLED", "targetCapacity": self.asked["target"]},
            "managedTerminationProtection": "ENABLED",
            "managedDraining": "ENABLED",
        }

    def protected_group(self):
        """Its ARN; new machines there are protected from scale-in, so that only ECS lets them go."""
        name = self.asked["group"]
        found = self.groups.describe_auto_scaling_groups(aws_retry=True, AutoScalingGroupNames=[name])
        if not found["AutoScalingGroups"]:
            raise LookupError(f"there is no autoscaling group {name}")
        [group] = found["AutoScalingGroups"]
        if not group.get("NewInstancesProtectedFromScaleIn"):
            self.changed = True
            self.groups.update_auto_scaling_group(
                aws_retry=True, AutoScalingGroupName=name, NewInstancesProtectedFromScaleIn=True
            )
        return group["AutoScalingGroupARN"]

    def update(self, found):
        held, wanted = found["autoScalingGroupProvider"], self.settings()
        scaling = held.get("managedScaling") or {}
        differs = any(scaling.get(key) != value for key, value in wanted["managedScaling"].items())
        if differs or any(held.get(key) != wanted[key] for key in ("managedTerminationProtection", "managedDraining")):
            self.changed = True
            self.client.update_capacity_provider(
                aws_retry=True, name=self.asked["name"], autoScalingGroupProvider=wanted
            )
        if [tag for tag in self.tags() if tag not in found.get("tags", [])]:
            self.changed = True
            self.client.tag_resource(aws_retry=True, resourceArn=found["capacityProviderArn"], tags=self.tags())

    def remove(self):
        if self.asked["cluster"]:
            self.until(self.is_off_the_cluster, "off its cluster")
        if self.find() is not None:
            self.changed = True
            self.until(self.is_let_go, "gone")
            self.until(lambda: self.find() is None, "gone")
        return ""

    def is_off_the_cluster(self):
        """Asks the cluster to do without it, if it has it still."""
        name, cluster = self.asked["name"], self.asked["cluster"]
        found = self.client.describe_clusters(aws_retry=True, clusters=[cluster])["clusters"]
        there = next((each for each in found if each["status"] == "ACTIVE"), None)
        if there is None or name not in there.get("capacityProviders", []):
            return True
        default = [
            each for each in there.get("defaultCapacityProviderStrategy", []) if each["capacityProvider"] != name
        ]
        others = [each for each in there["capacityProviders"] if each != name]
        self.changed = True
        return self.is_done(
            lambda: self.client.put_cluster_capacity_providers(
                cluster=cluster, capacityProviders=others, defaultCapacityProviderStrategy=default
            )
        )

    def is_let_go(self):
        return self.is_done(lambda: self.client.delete_capacity_provider(capacityProvider=self.asked["name"]))

    @staticmethod
    def is_done(do):
        try:
            do()
        except ClientError as error:
            if error.response["Error"]["Code"] not in BUSY:
                raise
            return False
        return True


def main():
    arguments = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "group": {"type": "str", "default": ""},
        "target": {"type": "int", "default": 100},
        "cluster": {"type": "str", "default": ""},
        "tags": {"type": "dict", "default": {}},
        "timeout": {"type": "int", "default": 300},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=False)
    provider = Provider(module)
    try:
        arn = provider.answered(module, provider.make if module.params["state"] == "present" else provider.remove)
    except LookupError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=provider.changed, capacity_provider_arn=arn)


if __name__ == "__main__":
    main()
