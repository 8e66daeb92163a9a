#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits until the rollout of an ECS service is over and tells how it ended; reads only."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_rollout_info
short_description: Wait until the rollout of an ECS service is over, and tell how it ended
version_added: 0.1.0
description:
  - Looks at the service until its rollout is done, or lost because ECS stopped it or went back.
  - A wait in one process. A loop of M(community.aws.ecs_service_info) starts Python anew for each look, which costs
    half a second of processor time, and its delay can't grow.
  - Where the rollout is not done, it also tells why the latest tasks stopped, as far as ECS still remembers (about an
    hour). M(community.aws.ecs_service_info) has events only, which hold no exit codes.
  - A rollout that is lost is no failure of the module.
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  service:
    description: The service's name.
    type: str
    required: true
  task_definition:
    description: ARN of the revision that the service is to run.
    type: str
    required: true
  timeout:
    description: How many seconds to wait at most.
    type: int
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Wait until the tasks are up
  arriero.fleet.ecs_rollout_info:
    cluster: llm
    service: llm
    task_definition: arn:aws:ecs:us-east-1:123456789012:task-definition/llm:3
    timeout: 600
  register: rollout
"""

RETURN = r"""
is_done:
  description: Whether the service runs as many tasks as it should, all of the wanted revision.
  returned: success
  type: bool
reason:
  description: Why it does not; empty if it does.
  returned: success
  type: str
  sample: 1 of 2 tasks run after 600 seconds.
stopped:
  description: Why the latest tasks stopped, with exit codes, at most three; empty if the rollout is done.
  returned: success
  type: list
  elements: str
  sample: ["Essential container in task exited (exit code 1)"]
"""

import time  # noqa: E402

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402

# Tasks on Fargate take half a minute or more, other changes are over at once.
FIRST_DELAY, DELAY_GROWTH, LONGEST_DELAY = 0.2, 1.4, 3.0


def main():
    arguments = {
        "cluster": {"type": "str", "required": True},
        "service": {"type": "str", "required": True},
        "task_definition": {"type": "str", "required": True},
        "timeout": {"type": "int", "required": True},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=True)
    ecs = module.client("ecs", retry_decorator=AWSRetry.jittered_backoff())
    try:
        is_done, reason = wait(ecs, module.params)
        stopped = [] if is_done else stopped_tasks(ecs, module.params)
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg="Couldn't read the service")
    module.exit_json(changed=False, is_done=is_done, reason=reason, stopped=stopped)


def wait(ecs, params):
    """Whether the rollout is done, and why not."""
    end, delay = time.monotonic() + params["timeout"], FIRST_DELAY
    while True:
        found = ecs.describe_services(aws_retry=True, cluster=params["cluster"], services=[params["service"]])
        service = next((each for each in found["services"] if each["status"] == "ACTIVE"), None)
        is_done, lost = judge(service, params["task_definition"])
        if is_done or lost:
            return is_done, lost
        if time.monotonic() > end:
            running, desired = service["runningCount"], service["desiredCount"]
            return False, "%s of %s tasks run after %s seconds." % (running, desired, params["timeout"])
        time.sleep(delay)
        delay = min(delay * DELAY_GROWTH, LONGEST_DELAY)


def judge(service, wanted):
    """Whether the rollout is done, and why it is lost; neither while it goes on."""
    if service is None:
        return False, "the service is not there any more."
    deployments = service.get("deployments", [])
    failed = [each for each in deployments if each.get("rolloutState") == "FAILED"]
    if failed or service["taskDefinition"] != wanted:
        why = " ".join(filter(None, (each.get("rolloutStateReason", "") for each in failed)))
        return False, why or "ECS went back to %s." % service["taskDefinition"].rpartition("/")[2]
    is_complete = len(deployments) == 1 and deployments[0].get("rolloutState", "COMPLETED") == "COMPLETED"
    return is_complete and service["runningCount"] == service["desiredCount"], ""


def stopped_tasks(ecs, params):
    """What ECS itself stopped to scale in or to roll back tells nothing about what went wrong, and is left out."""
    names = {"cluster": params["cluster"], "serviceName": params["service"]}
    arns = ecs.list_tasks(aws_retry=True, desiredStatus="STOPPED", **names)["taskArns"]
    tasks = ecs.describe_tasks(aws_retry=True, cluster=params["cluster"], tasks=arns)["tasks"] if arns else []
    tasks.sort(key=lambda task: str(task.get("stoppedAt", "")), reverse=True)
    reasons = dict.fromkeys(
        text for text in map(why_stopped, tasks) if text and not text.startswith("Scaling activity")
    )
    return list(reasons)[:3]


def why_stopped(task):
    failed = [each for each in task.get("containers", []) if each.get("exitCode")]
    alone = "" if len(failed) != 1 or failed[0]["name"] == "ollama" else "container %s: " % failed[0]["name"]
    codes = list(dict.fromkeys("%sexit code %s" % (alone, each["exitCode"]) for each in failed))
    more = codes + [each["reason"] for each in task.get("containers", []) if each.get("reason")]
    return task.get("stoppedReason", "") + (" (%s)" % ", ".join(more) if more else "")


if __name__ == "__main__":
    main()
