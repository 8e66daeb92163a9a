"""A service of the emulated ECS as the plan wishes for it, Ollama and sidecar in each task, and who asks them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from emulated_cloud import Cloud, until

from arriero.plan.wanted import aws, aws_task
from arriero.spec.model import Spec

SITE = Spec.model_validate(
    {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "ollama": {"num_parallel": 2},
        "deploy": {"stop_within": "8s"},
        "sites": {"east": {"cloud": "aws", "region": "us-east-1"}},
    }
).site("east")


def start(cloud: Cloud, count: int = 1, policies: Any = None) -> None:
    """The service as the role makes it, with the rights of its task role."""
    document, iam = aws_task.document(SITE, {}), cloud.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [aws.trust()]})
    for key in ("executionRoleArn", "taskRoleArn"):
        path, _, name = document[key].rpartition("/")
        made = iam.create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=trust)
        document[key] = made["Role"]["Arn"]
    own = {"keep": aws.own_policies(SITE)["keep-from-scale-in"]} if policies is None else policies
    for name, policy in own.items():
        text = json.dumps(policy).replace("task/llm-east/", "task/llm/")  # the cluster of these tests
        iam.put_role_policy(RoleName="llm-east-task", PolicyName=name, PolicyDocument=text)
    cloud.client("logs").create_log_group(logGroupName="/arriero/llm/east")
    definition = cloud.client("ecs").register_task_definition(**document)["taskDefinition"]["taskDefinitionArn"]
    cloud.service("llm", definition, count)
    until(lambda: cloud.is_stable("llm"))


def rows(cloud: Cloud, task: dict[str, Any]) -> dict[str, Any]:
    name = task["taskArn"].rpartition("/")[2]
    return {row.container: row for row in cloud.aws.containers() if row.target == name}


def get(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}:11434{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def tell_a_story(address: str, tokens: int) -> list[dict[str, Any]]:
    body = {"model": "llama2", "prompt": "a story", "options": {"num_predict": tokens}}
    request = urllib.request.Request(f"http://{address}:11434/api/generate", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as response:
        return [json.loads(line) for line in response]
