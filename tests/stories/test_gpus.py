"""A site with GPUs, from its price to its end, under exactly the permissions that are exported for it.

The tests of this file go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from places import Place, open_spec

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1, max: 2}
deploy: {stop_within: 2s}
accounts: {aws: "123456789012"}
sites:
  aws-east:
    cloud: aws
    region: us-east-1
    gpu: {type: T4, count: 1}
    size: {cpu: 4 vCPU, memory: 14GiB}
"""
BASE = "llm-aws-east"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("gpus"), SPEC):
        yield found
        found.arriero("rehearse", "start")  # all may be done again: what a failed test left is removed


@pytest.fixture(scope="module")
def clients(place: Place) -> Any:
    given = place.environment()

    def client(service: str) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=given["AWS_ENDPOINT_URL"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        )

    return client


def tasks(clients: Any) -> list[dict[str, Any]]:
    ecs = clients("ecs")
    arns = ecs.list_tasks(cluster=BASE)["taskArns"]
    return list(ecs.describe_tasks(cluster=BASE, tasks=arns)["tasks"]) if arns else []


def test_the_plan_names_the_machine_and_its_price(place: Place) -> None:
    assert place.arriero("export", "iam", "--out", "iam").code == 0
    assert "aws-machines.json" in {path.name for path in (place.folder / "iam").iterdir()}
    plan = place.arriero("plan")
    assert plan.code == 2, plan.out + plan.err
    assert "gpu: 1 x T4 a target, on g4dn.xlarge, 1 target a machine" in plan.out
    # g4dn.xlarge 0.526, 50 GiB of disk at 0.00010958904, an address at 0.005: by 730 hours
    assert "$391.63" in plan.out


def test_it_comes_up_on_a_machine_that_ecs_started(place: Place, clients: Any) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err + up.out
    assert place.arriero("rehearse", "start").code == 0  # who looks here may ask for more than who deploys
    ecs = clients("ecs")
    [task] = tasks(clients)
    definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    ollama = next(each for each in definition["containerDefinitions"] if each["name"] == "ollama")
    assert ollama["resourceRequirements"] == [{"type": "GPU", "value": "1"}]
    assert definition["requiresCompatibilities"] == ["EC2"]
    machine = ecs.describe_container_instances(cluster=BASE, containerInstances=[task["containerInstanceArn"]])
    [there] = machine["containerInstances"]
    kinds = {each["name"]: each.get("value") for each in there["attributes"]}
    assert kinds["ecs.instance-type"] == "g4dn.xlarge"
    [group] = clients("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert group["NewInstancesProtectedFromScaleIn"] is True
    assert there["ec2InstanceId"] in {each["InstanceId"] for each in group["Instances"]}


def test_the_gateway_serves_through_it(place: Place) -> None:
    status = place.arriero("status", "--json").json
    [site] = status["sites"]
    assert (site["state"], [target["state"] for target in site["targets"]]) == ("ready", ["ready"])
    asked = urllib.request.Request(
        f"{status['gateway']['url']}/api/generate",
        json.dumps({"model": "llama2", "prompt": "hello", "stream": False}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert json.loads(answer.read())["done"] is True


def test_afterwards_the_plan_is_empty_and_a_second_run_changes_nothing(place: Place) -> None:
    plan = place.arriero("plan")
    assert plan.code == 0, plan.out
    before = len(place.calls())
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    writing = ("Create", "Update", "Put", "Register", "Delete", "Modify", "Attach")
    made = [call["action"] for call in place.calls()[before:] if call["action"].partition(":")[2].startswith(writing)]
    assert [action for action in made if not action.startswith("s3:")] == []  # the ledger is in S3


def test_terraform_would_take_over_all_that_stands(place: Place) -> None:
    export = place.arriero("export", "terraform", "--out", "terraform")
    assert export.code == 0, export.err
    module = place.folder / "terraform"
    lines = [line for file in module.glob("*.tf") for line in file.read_text().splitlines()]
    assert sum(line.startswith("resource ") for line in lines) == lines.count("import {") > 25
    for asked in ("autoscaling_group", "launch_template", "iam_instance_profile", "ecs_capacity_provider"):
        assert f"  to = aws_{asked}.aws_east" in lines
    assert f'  id = "arn:aws:ecs:us-east-1:123456789012:capacity-provider/gpu-{BASE}"' in lines


def test_what_is_asked_of_the_cloud_was_all_allowed_and_known(place: Place) -> None:
    calls = place.calls()
    unknown = {call["action"] for call in calls if any(need.get("unknown") for need in call["needs"])}
    assert unknown <= {"ecs:DescribeContainerInstances"}  # this file's own
    assert any(call["action"] == "ecs:CreateCapacityProvider" for call in calls)


def test_its_end_leaves_nothing(place: Place, clients: Any) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err + down.out
    assert place.arriero("rehearse", "start").code == 0
    ec2, iam = clients("ec2"), clients("iam")
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    assert ec2.describe_instances(Filters=running)["Reservations"] == []
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []
    assert clients("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert clients("ecs").describe_capacity_providers(capacityProviders=[f"gpu-{BASE}"])["capacityProviders"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []
    assert [role for role in iam.list_roles()["Roles"] if role["Path"].startswith("/arriero/")] == []
    ours = [{"Name": "tag:arriero-service", "Values": ["llm"]}]
    assert ec2.describe_security_groups(Filters=ours)["SecurityGroups"] == []
    assert ec2.describe_vpcs(Filters=ours)["Vpcs"] == []
