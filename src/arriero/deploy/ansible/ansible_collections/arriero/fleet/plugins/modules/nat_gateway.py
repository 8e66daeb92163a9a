#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a NAT gateway with an address of its own, both known by their tags, and takes them away."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: nat_gateway
short_description: Make a NAT gateway and its address, found again by their tags
version_added: 0.1.0
description:
  - M(amazon.aws.ec2_eip) and M(amazon.aws.ec2_vpc_nat_gateway) allocate another address where a former run was cut off
    between the two. This one takes up what carries the tags.
  - A gateway of another subnet or with another address is replaced.
options:
  state:
    description:
      - V(present) makes what is missing.
      - V(absent) takes away the gateways of O(ids), waits until they are gone, and releases the addresses of
        O(allocations).
    type: str
    choices: [present, absent]
    default: present
  subnet:
    description: The id of the subnet that the gateway stands in.
    type: str
    default: ""
  tags:
    description: Tags of the gateway and of its address, by which they are found.
    type: dict
    default: {}
  ids:
    description: Gateways to take away.
    type: list
    elements: str
    default: []
  allocations:
    description: Addresses to release.
    type: list
    elements: str
    default: []
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
- name: Make the way out
  arriero.fleet.nat_gateway:
    subnet: subnet-0a1b2c3d
    tags:
      arriero-site: east
"""

RETURN = r"""
nat_gateway_id:
  description: The gateway; empty if there is none.
  returned: success
  type: str
  sample: nat-0a1b2c3d
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.arriero.fleet.plugins.module_utils.standing import Standing  # noqa: E402

GONE = ("deleting", "deleted", "failed")


class Gateway(Standing):
    """One NAT gateway and its address."""

    def __init__(self, module):
        super().__init__(module, "ec2", "the NAT gateway")

    def filters(self):
        return [{"Name": f"tag:{key}", "Values": [value]} for key, value in self.asked["tags"].items()]

    def tagged(self, kind):
        return [{"ResourceType": kind, "Tags": self.tags()}]

    def make(self):
        allocation, subnet = self.address(), self.asked["subnet"]
        answer = self.client.describe_nat_gateways(aws_retry=True, Filter=self.filters())["NatGateways"]
        standing = [each for each in answer if self.is_tagged(each) and each["State"] not in GONE]
        right = [
            each["NatGatewayId"]
            for each in standing
            if each["SubnetId"] == subnet and allocation in [a.get("AllocationId") for a in each["NatGatewayAddresses"]]
        ]
        wrong = [each["NatGatewayId"] for each in standing if each["NatGatewayId"] not in right[:1]]
        if wrong:  # the address is free for the new one only when they are gone
            self.delete(wrong)
        if right:
            self.until(lambda: self.states(right[:1]) == ["available"])
            return right[0]
        self.changed = True
        made = self.client.create_nat_gateway(
            aws_retry=True, SubnetId=subnet, AllocationId=allocation, TagSpecifications=self.tagged("natgateway")
        )["NatGateway"]["NatGatewayId"]
        self.until(lambda: self.states([made]) in (["available"], ["failed"]))
        if self.states([made]) == ["failed"]:
            raise TimeoutError(f"AWS could not make the NAT gateway {made}")
        return made

    def address(self):
        found = [
            each
            for each in self.client.describe_addresses(aws_retry=True, Filters=self.filters())["Addresses"]
            if self.is_tagged(each)
        ]
        if found:
            return sorted(each["AllocationId"] for each in found)[0]
        self.changed = True
        made = self.client.allocate_address(aws_retry=True, Domain="vpc", TagSpecifications=self.tagged("elastic-ip"))
        return made["AllocationId"]

    def remove(self):
        self.delete(self.asked["ids"])
        allocations = self.asked["allocations"]
        found = self.client.describe_addresses(aws_retry=True)["Addresses"] if allocations else []
        for allocation in [each["AllocationId"] for each in found if each.get("AllocationId") in allocations]:
            self.changed = True
            self.client.release_address(aws_retry=True, AllocationId=allocation)
        return ""

    def delete(self, ids):
        standing = [each for each in self.described(ids) if each["State"] not in ("deleting", "deleted")]
        for each in standing:
            self.changed = True
            self.client.delete_nat_gateway(aws_retry=True, NatGatewayId=each["NatGatewayId"])
        self.until(lambda: set(self.states(ids)) <= {"deleted"}, "gone")

    def states(self, ids):
        return [each["State"] for each in self.described(ids)]

    def described(self, ids):
        if not ids:
            return []
        asked = [{"Name": "nat-gateway-id", "Values": ids}]
        found = self.client.describe_nat_gateways(aws_retry=True, Filter=asked)["NatGateways"]
        return [each for each in found if each["NatGatewayId"] in ids]


def main():
    arguments = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "subnet": {"type": "str", "default": ""},
        "tags": {"type": "dict", "default": {}},
        "ids": {"type": "list", "elements": "str", "default": []},
        "allocations": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 300},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=False)
    gateway = Gateway(module)
    made = gateway.answered(module, gateway.make if module.params["state"] == "present" else gateway.remove)
    module.exit_json(changed=gateway.changed, nat_gateway_id=made)


if __name__ == "__main__":
    main()
