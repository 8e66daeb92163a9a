#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells why an ECS service's tasks stopped; reads only."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_stopped_tasks_info
short_description: Tell why the latest tasks of an ECS service stopped
version_added: 0.1.0
description:
  - Reads the stopped tasks that ECS still remembers (for about an hour) and returns their reasons, each once,
    the latest first. M(community.aws.ecs_service_info) has events only, which hold no exit codes.
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  service:
    description: The service's name.
    type: str
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Ask why tasks stopped
  arriero.fleet.ecs_stopped_tasks_info:
    cluster: llm
    service: llm
  register: stopped
"""

RETURN = r"""
reasons:
  description: Reasons with exit codes, at most three.
  returned: success
  type: list
  elements: str
  sample: ["Essential container in task exited (exit code 1)"]
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402


def main():
    arguments = {"cluster": {"type": "str", "required": True}, "service": {"type": "str", "required": True}}
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=True)
    ecs = module.client("ecs", retry_decorator=AWSRetry.jittered_backoff())
    cluster, service = module.params["cluster"], module.params["service"]
    try:
        arns = ecs.list_tasks(aws_retry=True, cluster=cluster, serviceName=service, desiredStatus="STOPPED")["taskArns"]
        tasks = ecs.describe_tasks(aws_retry=True, cluster=cluster, tasks=arns)["tasks"] if arns else []
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg="Couldn't read the stopped tasks")
    tasks.sort(key=lambda task: str(task.get("stoppedAt", "")), reverse=True)
    # What ECS itself stopped to scale in or to roll back tells nothing about what went wrong.
    reasons = dict.fromkeys(text for text in map(reason, tasks) if text and not text.startswith("Scaling activity"))
    module.exit_json(changed=False, reasons=list(reasons)[:3])


def reason(task):
    codes = ["exit code %s" % each["exitCode"] for each in task.get("containers", []) if each.get("exitCode")]
    more = codes + [each["reason"] for each in task.get("containers", []) if each.get("reason")]
    return task.get("stoppedReason", "") + (" (%s)" % ", ".join(more) if more else "")


if __name__ == "__main__":
    main()
