#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the endpoints through which a network without a way to the internet reaches AWS's services."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: vpc_endpoints
short_description: Make VPC endpoints and set what differs on those that stand
version_added: 0.1.0
description:
  - M(amazon.aws.ec2_vpc_endpoint) changes neither subnets, security groups nor route tables of an endpoint that stands.
  - An endpoint is known by its service and its tags.
options:
  state:
    description:
      - V(present) makes what is missing and sets what differs.
      - V(absent) takes away the endpoints of O(ids) and waits until they are gone.
    type: str
    choices: [present, absent]
    default: present
  vpc:
    description: The network's id.
    type: str
    default: ""
  interfaces:
    description: Services to have an interface endpoint for, by the end of their names.
    type: list
    elements: str
    default: []
  gateways:
    description: Services to have a gateway endpoint for, by the end of their names.
    type: list
    elements: str
    default: []
  subnets:
    description: Ids of the subnets that the interface endpoints stand in.
    type: list
    elements: str
    default: []
  security_group:
    description: The id of the interface endpoints' security group.
    type: str
    default: ""
  route_table:
    description: The id of the route table that the gateway endpoints are in.
    type: str
    default: ""
  tags:
    description: Tags of the endpoints.
    type: dict
    default: {}
  ids:
    description: Endpoints to take away.
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
- name: Lead to the registry and to nothing else
  arriero.fleet.vpc_endpoints:
    vpc: vpc-0a1b2c3d
    interfaces: [ecr.api, ecr.dkr, logs]
    gateways: [s3]
    subnets: [subnet-0a1b2c3d, subnet-1a2b3c4d]
    security_group: sg-0a1b2c3d
    route_table: rtb-0a1b2c3d
"""

RETURN = r"""
endpoint_ids:
  description: The endpoints, in the order in which they were asked for.
  returned: success
  type: list
  elements: str
  sample: [vpce-0a1b2c3d]
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.arriero.fleet.plugins.module_utils.standing import Standing  # noqa: E402

GONE = ("deleting", "deleted", "rejected", "failed", "expired")


class Endpoints(Standing):
    """The endpoints of one network."""

    def __init__(self, module):
        super().__init__(module, "ec2", "the endpoints")
        self.region = module.region

    def make(self):
        asked = [{"Name": "vpc-id", "Values": [self.asked["vpc"]]}]
        found = self.client.describe_vpc_endpoints(aws_retry=True, Filters=asked)["VpcEndpoints"]
        standing = {each["ServiceName"]: each for each in found if self.is_ours(each)}
        made = [self.one(standing, each, self.interface()) for each in self.asked["interfaces"]]
        made += [self.one(standing, each, self.gateway()) for each in self.asked["gateways"]]
        self.until(lambda: {each["State"].lower() for each in self.described(made)} <= {"available"})
        return made

    def is_ours(self, found):
        return self.is_tagged(found) and found["VpcId"] == self.asked["vpc"] and found["State"].lower() not in GONE

    def interface(self):
        return {
            "VpcEndpointType": "Interface",
            "SubnetIds": self.asked["subnets"],
            "SecurityGroupIds": [self.asked["security_group"]],
            "PrivateDnsEnabled": True,
        }

    def gateway(self):
        return {"VpcEndpointType": "Gateway", "RouteTableIds": [self.asked["route_table"]]}

    def one(self, standing, service, wanted):
        name = f"com.amazonaws.{self.region}.{service}"
        found = standing.get(name)
        if found is None:
            self.changed = True
            made = self.client.create_vpc_endpoint(
                aws_retry=True,
                VpcId=self.asked["vpc"],
                ServiceName=name,
                TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": self.tags()}],
                **wanted,
            )
            return made["VpcEndpoint"]["VpcEndpointId"]
        differs = self.differences(found, wanted)
        if differs:
            self.changed = True
            self.client.modify_vpc_endpoint(aws_retry=True, VpcEndpointId=found["VpcEndpointId"], **differs)
        return found["VpcEndpointId"]

    def differences(self, found, wanted):
        has = {
            "SubnetIds": found.get("SubnetIds", []),
            "SecurityGroupIds": [group["GroupId"] for group in found.get("Groups", [])],
            "RouteTableIds": found.get("RouteTableIds", []),
        }
        differs = {}
        for key, wish in wanted.items():
            if key in has:
                differs[f"Add{key}"] = [each for each in wish if each not in has[key]]
                differs[f"Remove{key}"] = [each for each in has[key] if each not in wish]
        if wanted.get("PrivateDnsEnabled") and not found.get("PrivateDnsEnabled"):
            differs["PrivateDnsEnabled"] = True
        return {key: value for key, value in differs.items() if value}

    def remove(self):
        ids = [each["VpcEndpointId"] for each in self.described(self.asked["ids"])]
        if ids:
            self.changed = True
            self.client.delete_vpc_endpoints(aws_retry=True, VpcEndpointIds=ids)
        self.until(lambda: not self.described(ids), "gone")
        return []

    def described(self, ids):
        if not ids:
            return []
        # Asked for by its id, one that is gone is an error.
        found = self.client.describe_vpc_endpoints(aws_retry=True)["VpcEndpoints"]
        return [each for each in found if each["VpcEndpointId"] in ids and each["State"].lower() != "deleted"]


def main():
    arguments = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "vpc": {"type": "str", "default": ""},
        "interfaces": {"type": "list", "elements": "str", "default": []},
        "gateways": {"type": "list", "elements": "str", "default": []},
        "subnets": {"type": "list", "elements": "str", "default": []},
        "security_group": {"type": "str", "default": ""},
        "route_table": {"type": "str", "default": ""},
        "tags": {"type": "dict", "default": {}},
        "ids": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 300},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=False)
    endpoints = Endpoints(module)
    made = endpoints.answered(module, endpoints.make if module.params["state"] == "present" else endpoints.remove)
    module.exit_json(changed=endpoints.changed, endpoint_ids=made)


if __name__ == "__main__":
    main()
