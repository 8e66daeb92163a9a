#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Has a registry of ECR copy one repository to another region, beside all that others have it copy."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecr_replication
short_description: Have ECR copy one repository to another region
version_added: 0.1.0
description:
  - No module of community.aws sets how a private registry replicates. It has one configuration for all repositories, so
    the rules that are there stay as they are, and one rule is added whose filter is this repository's name.
  - ECR takes the filter for the start of a name, and copies what is pushed from then on.
options:
  repository:
    description: The repository's name.
    type: str
    required: true
  registry:
    description: The account that has both registries.
    type: str
    required: true
  to:
    description: The region that gets the copies.
    type: str
    required: true
  state:
    description:
      - V(present) adds the region, unless some rule copies the repository there already.
      - V(absent) takes the region from the rule that is for this repository alone, and the rule with its last region.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Keep a copy of each image in Ireland
  arriero.fleet.ecr_replication:
    repository: team/llm
    registry: "123456789012"
    to: eu-west-1
    region: us-east-1
"""

RETURN = r"""
rules:
  description: All rules of the registry, as they are now.
  returned: success
  type: list
  elements: dict
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402


def only(repository):
    """The filters of a rule that is for this repository alone."""
    return [{"filter": repository, "filterType": "PREFIX_MATCH"}]


def covers(rule, repository):
    """A rule without filters is for all repositories; of several filters one is enough."""
    return any(repository.startswith(each["filter"]) for each in rule.get("repositoryFilters") or only(""))


def with_copy(rules, repository, destination):
    """The rules that copy it there, too: the very same where some rule does already."""
    if any(covers(rule, repository) and destination in rule["destinations"] for rule in rules):
        return rules
    own = next((rule for rule in rules if rule.get("repositoryFilters") == only(repository)), None)
    if own is None:
        return [*rules, {"destinations": [destination], "repositoryFilters": only(repository)}]
    more = {**own, "destinations": [*own["destinations"], destination]}
    return [more if rule is own else rule for rule in rules]


def without_copy(rules, repository, destination):
    """The rules without that region in what is for this repository alone; a rule of others may lead nowhere."""
    left = []
    for rule in rules:
        if rule.get("repositoryFilters") == only(repository):
            rule = {**rule, "destinations": [each for each in rule["destinations"] if each != destination]}
            if not rule["destinations"]:
                continue
        left.append(rule)
    return left


def main():
    arguments = {
        "repository": {"type": "str", "required": True},
        "registry": {"type": "str", "required": True},
        "to": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=True)
    asked = module.params
    destination = {"region": asked["to"], "registryId": asked["registry"]}
    change = with_copy if asked["state"] == "present" else without_copy
    try:
        client = module.client("ecr", retry_decorator=AWSRetry.jittered_backoff())
        there = client.describe_registry(aws_retry=True)["replicationConfiguration"]["rules"]
        wanted = change(there, asked["repository"], destination)
        if wanted != there and not module.check_mode:
            client.put_replication_configuration(aws_retry=True, replicationConfiguration={"rules": wanted})
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg=f"Couldn't set where {asked['repository']} is copied to")
    module.exit_json(changed=wanted != there, rules=wanted)


if __name__ == "__main__":
    main()
