#!/usr/bin/python
# Copyright the Arriero authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says what CloudWatch Container Insights measures of an ECS cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ecs_container_insights
short_description: Set what CloudWatch Container Insights measures of an ECS cluster
version_added: 0.1.0
description:
  - M(community.aws.ecs_cluster) has no parameter for a cluster's settings, of which ECS has this one.
  - AWS bills what is measured.
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  value:
    description: V(enhanced) measures each task and container, too.
    type: str
    choices: [enhanced, enabled, disabled]
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
author:
  - The Arriero authors (@arriero)
"""

EXAMPLES = r"""
- name: Measure each task of the cluster
  arriero.fleet.ecs_container_insights:
    cluster: llm-east
    value: enhanced
"""

RETURN = r"""
value:
  description: What is measured now.
  returned: success
  type: str
  sample: enhanced
"""

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule  # noqa: E402
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402

NAME = "containerInsights"


def value_of(client, cluster):
    """What the cluster has now; None where ECS doesn't say. Raises LookupError where there is no such cluster."""
    found = client.describe_clusters(aws_retry=True, clusters=[cluster], include=["SETTINGS"])["clusters"]
    there = next((each for each in found if each["status"] != "INACTIVE"), None)
    if there is None:
        raise LookupError(f"there is no ECS cluster {cluster}")
    return next((each["value"] for each in there.get("settings", []) if each["name"] == NAME), None)


def main():
    arguments = {
        "cluster": {"type": "str", "required": True},
        "value": {"type": "str", "choices": ["enhanced", "enabled", "disabled"], "required": True},
    }
    module = AnsibleAWSModule(argument_spec=arguments, supports_check_mode=True)
    cluster, value = module.params["cluster"], module.params["value"]
    try:
        client = module.client("ecs", retry_decorator=AWSRetry.jittered_backoff())
        is_changed = value_of(client, cluster) != value
        if is_changed and not module.check_mode:
            settings = [{"name": NAME, "value": value}]
            client.update_cluster_settings(aws_retry=True, cluster=cluster, settings=settings)
    except (ClientError, BotoCoreError) as error:
        module.fail_json_aws(error, msg=f"Couldn't set what Container Insights measures of the cluster {cluster}")
    except LookupError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=is_changed, value=value)


if __name__ == "__main__":
    main()
