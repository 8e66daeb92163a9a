#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Registers an ECS task definition as a whole document."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_task_definition
short_description: Register an ECS task definition with everything the API knows
version_added: 0.1.0
description:
  - Registers a revision from a document in the API's own words, O(document.ephemeralStorage) among them, which
    M(community.aws.ecs_taskdefinition) has no parameter for.
  - An active revision of the family whose containers carry the same docker labels is taken for the wanted one.
    The labels must therefore hold a hash of the document.
options:
  document:
    description: The arguments of RegisterTaskDefinition.
    type: dict
    required: true
  force_create:
    description: Register a new revision whatever there is.
    type: bool
    default: false
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Register a task with 100 GiB of disk
  arriero.fleet.ecs_task_definition:
    document:
      family: llm
      cpu: "4096"
      memory: "16384"
      networkMode: awsvpc
      requiresCompatibilities: [FARGATE]
      ephemeralStorage: {sizeInGiB: 100}
      containerDefinitions:
        - name: ollama
          image: registry.example.com/acme/llm
          dockerLabels: {arriero-definition: 0123456789ab}
"""

RETURN = r"""
task_definition_arn:
  description: The revision, new or found.
  returned: success
  type: str
  sample: arn:aws:ecs:us-east-1:123456789012:task-definition/llm:3
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402


def main():
    arguments = {
        "document": {"type": "dict", "required": True},
        "force_create": {"type": "bool", "default": False},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=True)
    ecs = module.client("ecs", retry_decorator=AWSRetry.jittered_backoff())
    document = module.params["document"]
    try:
        found = None if module.params["force_create"] else find(ecs, document)
        if found or module.check_mode:
            module.exit_json(changed=not found, task_definition_arn=found or "")
        made = ecs.register_task_definition(aws_retry=True, **document)["taskDefinition"]
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg="Couldn't register the task definition")
    module.exit_json(changed=True, task_definition_arn=made["taskDefinitionArn"])


def find(ecs, document):
    """The family's newest active revision with the document's labels, or nothing."""
    family, wanted = document["family"], labels(document)
    arns = ecs.list_task_definitions(aws_retry=True, familyPrefix=family, status="ACTIVE", sort="DESC")
    for arn in arns["taskDefinitionArns"]:
        if arn.split("/")[-1].split(":")[0] != family:
            continue
        if labels(ecs.describe_task_definition(aws_retry=True, taskDefinition=arn)["taskDefinition"]) == wanted:
            return arn
    return None


def labels(document):
    return {each["name"]: each.get("dockerLabels") or {} for each in document["containerDefinitions"]}


if __name__ == "__main__":
    main()
