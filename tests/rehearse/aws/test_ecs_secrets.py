"""Secrets that ECS gives to containers on the stage: their values, and why a task can't start without them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emulated_cloud import Cloud, until

from arriero.plan.wanted import aws

VALUE, PARAMETER = "planted-in-secrets-manager-5a1e", "planted-in-ssm-5a1e"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    made.close()


def kept(cloud: Cloud) -> dict[str, str]:
    """References to what the cloud keeps, by variable."""
    whole = cloud.client("secretsmanager").create_secret(Name="llm/hf", SecretString=json.dumps({"token": VALUE}))
    cloud.client("ssm").put_parameter(Name="/llm/proxy", Value=PARAMETER, Type="SecureString")
    parameter = cloud.client("ssm").get_parameter(Name="/llm/proxy")["Parameter"]["ARN"]
    return {"HF_TOKEN": f"{whole['ARN']}:token::", "PROXY": parameter}


def start(cloud: Cloud, references: dict[str, str], allowed: list[dict[str, Any]]) -> None:
    iam, trust = cloud.client("iam"), json.dumps({"Version": "2012-10-17", "Statement": [aws.trust()]})
    role = iam.create_role(RoleName="llm-exec", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    if allowed:
        text = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        iam.put_role_policy(RoleName="llm-exec", PolicyName="read-secrets", PolicyDocument=text)
    cloud.network()
    made = cloud.client("ecs").register_task_definition(
        family="llm",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="1024",
        memory="2048",
        executionRoleArn=role,
        containerDefinitions=[
            {
                "name": "ollama",
                "image": "acme/llm:1",
                "portMappings": [{"containerPort": 11434, "protocol": "tcp"}],
                "stopTimeout": 2,
                "secrets": [{"name": name, "valueFrom": arn} for name, arn in references.items()],
            }
        ],
    )
    cloud.service("llm", made["taskDefinition"]["taskDefinitionArn"])


def reading(references: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue"],
            "Resource": [references["HF_TOKEN"].removesuffix(":token::")],
        },
        {"Effect": "Allow", "Action": ["ssm:GetParameters"], "Resource": [references["PROXY"]]},
    ]


def why_stopped(cloud: Cloud) -> str:
    """What ECS says of a task that it could not start."""

    def said() -> str:
        reasons = [str(task["stoppedReason"]) for task in cloud.tasks("llm", "STOPPED")]
        return next((reason for reason in reasons if reason.startswith("ResourceInitializationError")), "")

    return str(until(said, 60))


def test_a_container_has_the_values_and_the_definition_only_their_references(cloud: Cloud) -> None:
    references = kept(cloud)
    start(cloud, references, reading(references))
    until(lambda: cloud.is_stable("llm"), 60)
    [task] = cloud.tasks("llm")
    inside = Path(f"/proc/{cloud.pid_of(task)}/environ").read_text().split("\0")
    assert {f"HF_TOKEN={VALUE}", f"PROXY={PARAMETER}"} <= set(inside)
    told = json.dumps([cloud.described("llm"), task], default=str)
    definition = cloud.client("ecs").describe_task_definition(taskDefinition="llm")["taskDefinition"]
    assert VALUE not in told + json.dumps(definition, default=str)


def test_without_leave_of_its_execution_role_no_task_starts(cloud: Cloud) -> None:
    references = kept(cloud)
    start(cloud, references, reading(references)[:1])
    said = why_stopped(cloud)
    assert "unable to retrieve secret from" in said
    assert "AccessDeniedException" in said
    # The service goes on trying; none of its tasks comes as far as to run.
    assert not [task for task in cloud.tasks("llm") if task["lastStatus"] == "RUNNING"]


def test_a_secret_that_is_not_there_is_named(cloud: Cloud) -> None:
    references = kept(cloud)
    start(cloud, references, reading(references))
    until(lambda: cloud.tasks("llm"), 60)
    cloud.client("secretsmanager").delete_secret(SecretId="llm/hf", ForceDeleteWithoutRecovery=True)
    cloud.client("ecs").update_service(cluster="llm", service="llm", forceNewDeployment=True)
    reason = why_stopped(cloud)
    assert "ResourceNotFoundException" in reason
    assert references["HF_TOKEN"] in reason
