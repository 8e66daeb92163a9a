#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets what Application Auto Scaling does by the clock for an ECS service, and takes all of its scaling away."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_scaling
short_description: Set or take away the scheduled actions and the suspension of an ECS service's scaling
version_added: 0.1.0
description:
  - M(community.aws.application_autoscaling_policy) makes the scalable target and its policies; it knows neither
    scheduled actions nor what is suspended, and takes no scalable target away.
options:
  resource:
    description: The scalable target, C(service/<cluster>/<service>).
    type: str
    required: true
  state:
    description:
      - V(present) sets what differs on a scalable target that is there, and removes other scheduled actions.
      - V(absent) takes away the scalable target with its policies and scheduled actions.
    type: str
    choices: [present, absent]
    default: present
  suspended:
    description: Which of DynamicScalingInSuspended, DynamicScalingOutSuspended and ScheduledScalingSuspended hold.
    type: dict
    default: {}
  scheduled:
    description: All scheduled actions that are to be there.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      at:
        description: When, as Application Auto Scaling writes it, like C(cron(0 22 ? * MON *)).
        type: str
        required: true
      zone:
        description: The time zone that this is meant in.
        type: str
        required: true
      min:
        description: The least number of tasks from then on.
        type: int
        required: true
      max:
        description: The greatest number of tasks from then on.
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
- name: Let the service sleep at night
  arriero.fleet.ecs_scaling:
    resource: service/llm-east/llm-east
    scheduled:
      - {name: llm-east-off, at: 'cron(0 22 * * ? *)', zone: Europe/Berlin, min: 0, max: 0}
      - {name: llm-east-on, at: 'cron(0 6 * * ? *)', zone: Europe/Berlin, min: 2, max: 4}
"""

RETURN = r"""
done:
  description: What was done, in words.
  returned: success
  type: list
  elements: str
  sample: ["scheduled llm-east-off"]
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402

DIMENSION = "ecs:service:DesiredCount"


class Scaling:
    """One service's scaling; `done` says what was changed."""

    def __init__(self, module):
        self.client = module.client("application-autoscaling", retry_decorator=AWSRetry.jittered_backoff())
        self.asked, self.done = module.params, []
        self.here = {
            "ServiceNamespace": "ecs",
            "ScalableDimension": DIMENSION,
            "ResourceId": module.params["resource"],
        }

    def target(self):
        asked = {**self.here, "ResourceIds": [self.here["ResourceId"]]}
        del asked["ResourceId"]
        found = self.client.describe_scalable_targets(aws_retry=True, **asked)["ScalableTargets"]
        return found[0] if found else None

    def set(self):
        target = self.target()
        if target is None:
            raise LookupError(f"{self.here['ResourceId']} is no scalable target")
        held = target.get("SuspendedState") or {}
        if any(bool(held.get(flag)) != wish for flag, wish in self.asked["suspended"].items()):
            self.client.register_scalable_target(aws_retry=True, SuspendedState=self.asked["suspended"], **self.here)
            self.done.append("set what is suspended")
        self.schedule()

    def schedule(self):
        found = {}
        for page in self.client.get_paginator("describe_scheduled_actions").paginate(**self.here):
            found.update({each["ScheduledActionName"]: each for each in page["ScheduledActions"]})
        for wish in self.asked["scheduled"]:
            action = {
                "Schedule": wish["at"],
                "Timezone": wish["zone"],
                "ScalableTargetAction": {"MinCapacity": wish["min"], "MaxCapacity": wish["max"]},
            }
            there = found.pop(wish["name"], {})
            if any(there.get(key) != value for key, value in action.items()):
                self.client.put_scheduled_action(
                    aws_retry=True, ScheduledActionName=wish["name"], **action, **self.here
                )
                self.done.append(f"scheduled {wish['name']}")
        for name in found:
            self.client.delete_scheduled_action(aws_retry=True, ScheduledActionName=name, **self.here)
            self.done.append(f"unscheduled {name}")

    def remove(self):
        """Its policies and scheduled actions go with it, as AWS says of DeregisterScalableTarget."""
        if self.target() is not None:
            self.client.deregister_scalable_target(aws_retry=True, **self.here)
            self.done.append(f"took {self.here['ResourceId']} away")


def main():
    action = {
        "name": {"type": "str", "required": True},
        "at": {"type": "str", "required": True},
        "zone": {"type": "str", "required": True},
        "min": {"type": "int", "required": True},
        "max": {"type": "int", "required": True},
    }
    arguments = {
        "resource": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "suspended": {"type": "dict", "default": {}},
        "scheduled": {"type": "list", "elements": "dict", "options": action, "default": []},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=False)
    scaling = Scaling(module)
    try:
        if module.params["state"] == "present":
            scaling.set()
        else:
            scaling.remove()
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg="Couldn't set the service's scaling")
    except LookupError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(scaling.done), done=scaling.done)


if __name__ == "__main__":
    main()
