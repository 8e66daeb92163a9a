#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a name in a private zone of a network, under which ECS writes down the addresses of a service's tasks."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: private_name
short_description: Make a private zone of Cloud Map with one name in it
version_added: 0.1.0
description:
  - No module knows AWS Cloud Map.
  - A zone is known by its name and its tags, for other networks may have zones of the same name.
options:
  state:
    description:
      - V(present) makes what is missing, and sets how long an answer may be kept.
      - V(absent) takes away the zones of O(ids) with all that is in them, and waits until they are gone. What tasks are
        written down under can't go before they do, so that is waited for, too.
    type: str
    choices: [present, absent]
    default: present
  zone:
    description: The zone's name.
    type: str
    default: ""
  name:
    description: The name in it, which gets the addresses.
    type: str
    default: ""
  vpc:
    description: The id of the network in which it is answered.
    type: str
    default: ""
  ttl:
    description: How many seconds an answer may be kept.
    type: int
    default: 10
  tags:
    description: Tags of the zone and of the name.
    type: dict
    default: {}
  ids:
    description: Zones to take away.
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
- name: Name the targets
  arriero.fleet.private_name:
    zone: llm-east.arriero.internal
    name: targets
    vpc: vpc-0a1b2c3d
"""

RETURN = r"""
registry_arn:
  description: What a service of ECS is given, so that its tasks are written down under the name; empty if it is gone.
  returned: success
  type: str
  sample: arn:aws:servicediscovery:us-east-1:123456789012:service/srv-0a1b2c3d
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.arriero.fleet.plugins.module_utils.standing import Standing  # noqa: E402


class Name(Standing):
    """The zone and the name in it."""

    def __init__(self, module):
        super().__init__(module, "servicediscovery", "the private name")
        self.in_use = self.client.exceptions.ResourceInUse

    def make(self):
        zone = self.zone() or self.made_zone()
        found = next((each for each in self.names(zone) if each["Name"] == self.asked["name"]), None)
        if found is None:
            return self.made_name(zone)
        records = [{"Type": "A", "TTL": self.asked["ttl"]}]
        if found.get("DnsConfig", {}).get("DnsRecords") != records:
            self.changed = True
            change = {"DnsConfig": {"DnsRecords": records}}
            self.done(self.client.update_service(aws_retry=True, Id=found["Id"], Service=change))
        return found["Arn"]

    def zone(self):
        asked = [condition("TYPE", "DNS_PRIVATE"), condition("NAME", self.asked["zone"])]
        pages = self.client.get_paginator("list_namespaces").paginate(Filters=asked)
        for zone in (each for page in pages for each in page["Namespaces"]):
            if self.is_tagged(self.client.list_tags_for_resource(aws_retry=True, ResourceARN=zone["Arn"])):
                return zone["Id"]
        return ""

    def made_zone(self):
        self.changed = True
        wanted = {"Name": self.asked["zone"], "Vpc": self.asked["vpc"], "Tags": self.tags()}
        return self.done(self.client.create_private_dns_namespace(aws_retry=True, **wanted))["NAMESPACE"]

    def made_name(self, zone):
        # ECS says itself which tasks are healthy; without that, AWS takes all for healthy.
        self.changed = True
        made = self.client.create_service(
            aws_retry=True,
            Name=self.asked["name"],
            NamespaceId=zone,
            DnsConfig={"RoutingPolicy": "MULTIVALUE", "DnsRecords": [{"Type": "A", "TTL": self.asked["ttl"]}]},
            HealthCheckCustomConfig={"FailureThreshold": 1},
            Tags=self.tags(),
        )
        return made["Service"]["Arn"]

    def remove(self):
        for zone in self.asked["ids"]:
            for each in self.names(zone):
                self.until(lambda name=each["Id"]: self.is_let_go(self.client.delete_service, name), "free")
            self.until(lambda name=zone: self.is_let_go(self.client.delete_namespace, name), "empty")
        return ""

    def is_let_go(self, delete, name):
        try:
            answer = delete(aws_retry=True, Id=name)
        except self.in_use:
            return False
        self.changed = True
        if "OperationId" in answer:
            self.done(answer)
        return True

    def names(self, zone):
        pages = self.client.get_paginator("list_services").paginate(Filters=[condition("NAMESPACE_ID", zone)])
        return [each for page in pages for each in page["Services"]]

    def done(self, answer):
        """What the operation was about, once AWS has carried it out."""
        found = {}

        def is_over():
            found.update(self.client.get_operation(aws_retry=True, OperationId=answer["OperationId"])["Operation"])
            return found["Status"] in ("SUCCESS", "FAIL")

        self.until(is_over)
        if found["Status"] == "FAIL":
            raise TimeoutError(f"AWS could not set {self.what}: {found.get('ErrorMessage', 'it does not say why')}")
        return found.get("Targets", {})


def condition(name, value):
    return {"Name": name, "Values": [value], "Condition": "EQ"}


def main():
    arguments = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "zone": {"type": "str", "default": ""},
        "name": {"type": "str", "default": ""},
        "vpc": {"type": "str", "default": ""},
        "ttl": {"type": "int", "default": 10},
        "tags": {"type": "dict", "default": {}},
        "ids": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 300},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=False)
    name = Name(module)
    arn = name.answered(module, name.make if module.params["state"] == "present" else name.remove)
    module.exit_json(changed=name.changed, registry_arn=arn)


if __name__ == "__main__":
    main()
