#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a task of ECS once, to its end."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_once
short_description: Run a task on Fargate to its end, and tell how it ended
version_added: 0.1.0
description:
  - M(community.aws.ecs_task) starts tasks, and neither waits for their end nor tells their exit codes.
  - The task definition is registered for the run, and deregistered after it.
  - A task of the same family that a run before this one left behind is waited for, and not started beside. One that was
    asked for the same is this run's own; after another one this run's is started.
options:
  document:
    description: The arguments of RegisterTaskDefinition.
    type: dict
    required: true
  cluster:
    description: The cluster to run in.
    type: str
    required: true
  container:
    description: The container whose exit code decides.
    type: str
    required: true
  subnets:
    description: Ids of the subnets that the task may be put in.
    type: list
    elements: str
    required: true
  security_groups:
    description: Ids of the task's security groups.
    type: list
    elements: str
    required: true
  public_ip:
    description: Whether the task has a public address.
    type: bool
    required: true
  tags:
    description: Tags of the task.
    type: dict
    default: {}
  report:
    description: Whether the last line that the container writes is wanted, a JSON object.
    type: bool
    default: false
  timeout:
    description: How many seconds it may take.
    type: int
    default: 3600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Fill the storage
  arriero.fleet.ecs_once:
    document: "{{ job }}"
    cluster: llm-east
    container: seed
    subnets: [subnet-0a1b2c3d]
    security_groups: [sg-0a1b2c3d]
    public_ip: false
"""

RETURN = r"""
task_arn:
  description: The task that ran.
  returned: success
  type: str
  sample: arn:aws:ecs:us-east-1:123456789012:task/llm-east/0123456789abcdef0123456789abcdef
report:
  description: The last line that the container wrote.
  returned: success, where it is asked for
  type: str
  sample: '{"freed_bytes": 0}'
"""

import time  # noqa: E402

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402

LOOK_SECONDS = 1
LOG_SECONDS = 60  # a log has its last lines some seconds after the task has ended


def main():
    arguments = {
        "document": {"type": "dict", "required": True},
        "cluster": {"type": "str", "required": True},
        "container": {"type": "str", "required": True},
        "subnets": {"type": "list", "elements": "str", "required": True},
        "security_groups": {"type": "list", "elements": "str", "required": True},
        "public_ip": {"type": "bool", "required": True},
        "tags": {"type": "dict", "default": {}},
        "report": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 3600},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=False)
    ecs = module.client("ecs", retry_decorator=AWSRetry.jittered_backoff())
    try:
        task = run(module, ecs)
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg="Couldn't run the task")
    container = next((each for each in task["containers"] if each["name"] == module.params["container"]), {})
    if container.get("exitCode") != 0:
        said = last_line(module, task)
        module.fail_json(msg=f"{reason(task, container)} It said: {said}", task_arn=task["taskArn"])
    told = {"report": report(module, task)} if module.params["report"] else {}
    module.exit_json(changed=True, task_arn=task["taskArn"], **told)


def run(module, ecs):
    asked = module.params
    deadline = time.monotonic() + asked["timeout"]
    left = ecs.list_tasks(aws_retry=True, cluster=asked["cluster"], family=asked["document"]["family"])["taskArns"]
    for arn in left:
        task = ended(module, ecs, arn, deadline)
        definition = ecs.describe_task_definition(aws_retry=True, taskDefinition=task["taskDefinitionArn"])
        if is_the_same(module, definition["taskDefinition"]):
            return task
    return ended(module, ecs, start(module, ecs), deadline)


def ended(module, ecs, arn, deadline):
    """The task once it has stopped, and its definition is put away."""
    cluster, seconds = module.params["cluster"], module.params["timeout"]
    while True:
        task = ecs.describe_tasks(aws_retry=True, cluster=cluster, tasks=[arn])["tasks"][0]
        if task["lastStatus"] == "STOPPED":
            ecs.deregister_task_definition(aws_retry=True, taskDefinition=task["taskDefinitionArn"])
            return task
        if time.monotonic() > deadline:
            ecs.stop_task(aws_retry=True, cluster=cluster, task=arn, reason="it took too long")
            module.fail_json(msg=f"the task was not done after {seconds} s, and was stopped", task_arn=arn)
        time.sleep(LOOK_SECONDS)


def is_the_same(module, definition):
    """Whether a task was asked to do what this one is: by its container's image, command and variables."""
    name = module.params["container"]
    found, wanted = (
        next((each for each in one["containerDefinitions"] if each["name"] == name), None)
        for one in (definition, module.params["document"])
    )
    return found is not None and does(found) == does(wanted)


def does(container):
    variables = {each["name"]: each["value"] for each in container.get("environment") or ()}
    return container["image"], list(container.get("entryPoint") or ()), variables


def start(module, ecs):
    asked = module.params
    made = ecs.register_task_definition(aws_retry=True, **asked["document"])["taskDefinition"]
    network = {
        "subnets": asked["subnets"],
        "securityGroups": asked["security_groups"],
        "assignPublicIp": "ENABLED" if asked["public_ip"] else "DISABLED",
    }
    answer = ecs.run_task(
        aws_retry=True,
        cluster=asked["cluster"],
        taskDefinition=made["taskDefinitionArn"],
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
        tags=[{"key": key, "value": value} for key, value in asked["tags"].items()],
    )
    if not answer["tasks"]:
        module.fail_json(msg=f"ECS started no task: {answer['failures']}")
    return answer["tasks"][0]["taskArn"]


def reason(task, container):
    code, name = container.get("exitCode"), container.get("name", "")
    how = "it never ran" if code is None else f"it exited with code {code}"
    return f"container {name}: {how}. {task.get('stoppedReason', '')} {container.get('reason') or ''}".strip()


def report(module, task):
    """The container's last line, once its log has it."""
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        said = last_line(module, task)
        if said.startswith("{"):
            return said
        if time.monotonic() > deadline:
            module.fail_json(msg=f"the task ended well, and its log tells no report; its last line: {said}")
        time.sleep(LOOK_SECONDS)


def last_line(module, task):
    """What the container wrote last, as far as its log can be read."""
    name = module.params["container"]
    own = next(each for each in module.params["document"]["containerDefinitions"] if each["name"] == name)
    options = (own.get("logConfiguration") or {}).get("options") or {}
    stream = f"{options.get('awslogs-stream-prefix')}/{name}/{task['taskArn'].rpartition('/')[2]}"
    try:
        logs = module.client("logs", retry_decorator=AWSRetry.jittered_backoff())
        group = options["awslogs-group"]
        found = logs.get_log_events(aws_retry=True, logGroupName=group, logStreamName=stream, startFromHead=False)
        return found["events"][-1]["message"].strip()
    except (KeyError, IndexError, ClientError, BotoCoreError):
        return "nothing that its log has"


if __name__ == "__main__":
    main()
