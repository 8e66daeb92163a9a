"""A site whose machines with GPUs ECS keeps by itself, from its price to its end, under exactly the permissions that
are exported for it; hands change what it is, and it is put right.

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
    gpu: {type: T4, machines: managed}
    size: {cpu: 4 vCPU, memory: 14GiB}
"""
BASE = "llm-aws-east"
PROVIDER = f"managed-{BASE}"
MACHINES = "aws.managed_machines"
MORE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:StopInstances", "Resource": "*"}]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    for found in open_spec(tmp_path_factory.mktemp("managed"), SPEC):
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


def provider(clients: Any) -> dict[str, Any]:
    [found] = clients("ecs").describe_capacity_providers(capacityProviders=[PROVIDER])["capacityProviders"]
    return dict(found)


def changes(place: Place) -> dict[str, str]:
    """What is planned, by kind and name, with its reason."""
    plan = place.arriero("plan", "--json")
    assert plan.code in (0, 2), plan.out + plan.err
    found = (change for site in plan.json["sites"] for step in site["steps"] for change in step["changes"])
    return {f"{change['kind']} {change['name']}": change["reason"] for change in found}


def test_the_plan_names_the_machine_and_what_is_known_of_its_price(place: Place) -> None:
    assert place.arriero("export", "iam", "--out", "iam").code == 0
    files = {path.name for path in (place.folder / "iam").iterdir()}
    assert {"aws-managed.json", "aws-machines.json"} & files == {"aws-managed.json"}
    plan = place.arriero("plan")
    assert plan.code == 2, plan.out + plan.err
    assert "gpu: 1 x T4 a target, on g4dn.xlarge, 1 target a machine" in plan.out
    assert "ECS takes a fee for each machine besides its price" in plan.out
    # g4dn.xlarge 0.526, 50 GiB of disk at 0.00010958904, an address at 0.005: by 730 hours
    assert "at least $391.63 a month (price of management of g4dn.xlarge unknown)" in plan.out


def test_it_comes_up_on_a_machine_that_ecs_started(place: Place, clients: Any) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err + up.out
    assert place.arriero("rehearse", "start").code == 0  # who looks here may ask for more than who deploys
    ecs = clients("ecs")
    [task] = tasks(clients)
    assert (task["launchType"], task["capacityProviderName"]) == ("MANAGED_INSTANCES", PROVIDER)
    definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
    ollama = next(each for each in definition["containerDefinitions"] if each["name"] == "ollama")
    assert ollama["resourceRequirements"] == [{"type": "GPU", "value": "1"}]
    assert definition["requiresCompatibilities"] == ["MANAGED_INSTANCES"]
    machine = ecs.describe_container_instances(cluster=BASE, containerInstances=[task["containerInstanceArn"]])
    [there] = machine["containerInstances"]
    [started] = clients("ec2").describe_instances(InstanceIds=[there["ec2InstanceId"]])["Reservations"][0]["Instances"]
    assert started["InstanceType"] == "g4dn.xlarge"
    assert {"Key": "arriero-site", "Value": "aws-east"} in started["Tags"]
    assert clients("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []


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
    assert changes(place) == {}
    before = len(place.calls())
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err
    writing = ("Create", "Update", "Put", "Register", "Delete", "Modify", "Attach")
    made = [call["action"] for call in place.calls()[before:] if call["action"].partition(":")[2].startswith(writing)]
    assert [action for action in made if not action.startswith("s3:")] == []  # the ledger is in S3


def test_what_hands_changed_is_seen_and_put_right(place: Place, clients: Any) -> None:
    held = provider(clients)["managedInstancesProvider"]
    template = {key: value for key, value in held["instanceLaunchTemplate"].items() if key != "capacityOptionType"}
    network, asked = template["networkConfiguration"], template["instanceRequirements"]
    template["networkConfiguration"] = {**network, "subnets": network["subnets"][:1]}
    template["instanceRequirements"] = {**asked, "vCpuCount": {"min": 4, "max": 8}, "acceleratorNames": ["l4"]}
    clients("ecs").update_capacity_provider(
        name=PROVIDER,
        cluster=BASE,
        managedInstancesProvider={
            **held,
            "instanceLaunchTemplate": template,
            "infrastructureOptimization": {"scaleInAfter": -1},
        },
    )
    iam = clients("iam")
    iam.delete_role_policy(RoleName=f"{BASE}-infra", PolicyName="pass-machine-role")
    iam.put_role_policy(RoleName=f"{BASE}-infra", PolicyName="more", PolicyDocument=json.dumps(MORE))
    subnet = network["subnets"][1]
    clients("ec2").modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": False})
    seen = changes(place)
    reason = seen[f"{MACHINES} {PROVIDER}"]
    for said in (
        "requirements.acceleratorNames: is [l4], should be [t4]",
        "requirements.vCpuCount.max: is 8, should be not set",
        "idle_seconds: is -1, should be 300",
        "subnets: is [",
    ):
        assert said in reason
    assert "inline_policies" in seen[f"aws.role {BASE}-infra"]
    assert [said for key, said in seen.items() if key.startswith("aws.subnet")] == [
        "public_addresses: is False, should be True"
    ]
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    up = place.arriero("up", "--yes")
    assert up.code == 0, up.err + up.out
    assert place.arriero("rehearse", "start").code == 0
    assert changes(place) == {}
    assert provider(clients)["managedInstancesProvider"] == held


def test_its_service_holds_on_to_it(place: Place, clients: Any) -> None:
    ecs = clients("ecs")
    with pytest.raises(ecs.exceptions.ClientException, match="Services are still associated"):
        ecs.delete_capacity_provider(capacityProvider=PROVIDER, cluster=BASE)
    assert changes(place) == {}


def test_it_can_move_neither_to_a_group_nor_to_fargate(place: Place) -> None:
    file = place.folder / "arriero.yaml"
    whole = file.read_text()
    for gpu, goes_to in (("    gpu: T4\n", "machines with GPUs"), ("", "Fargate")):
        file.write_text(whole.replace("    gpu: {type: T4, machines: managed}\n", gpu))
        plan = place.arriero("plan")
        assert plan.code == 1
        said = f"sites.aws-east.gpu: the site stands on managed machines with GPUs, and can't move to {goes_to}"
        assert said in plan.err + plan.out
    file.write_text(whole)
    assert changes(place) == {}


def test_terraform_would_take_over_all_that_stands(place: Place) -> None:
    export = place.arriero("export", "terraform", "--out", "terraform")
    assert export.code == 0, export.err
    module = place.folder / "terraform"
    lines = [line for file in module.glob("*.tf") for line in file.read_text().splitlines()]
    assert sum(line.startswith("resource ") for line in lines) == lines.count("import {") > 25
    assert f'  id = "arn:aws:ecs:us-east-1:123456789012:capacity-provider/{PROVIDER}"' in lines
    assert "    managed_instances_provider {" in lines or "  managed_instances_provider {" in lines


def test_what_is_asked_of_the_cloud_was_all_allowed_and_known(place: Place) -> None:
    calls = place.calls()
    unknown = {call["action"] for call in calls if any(need.get("unknown") for need in call["needs"])}
    # this file's own
    assert unknown <= {"ecs:DescribeContainerInstances", "ec2:DescribeInstances"}
    [made] = [call for call in calls if call["action"] == "ecs:CreateCapacityProvider"]
    passed = [need for need in made["needs"] if need["action"] == "iam:PassRole"]
    assert [(need["resource"], need["context"]["iam:PassedToService"]) for need in passed] == [
        (f"arn:aws:iam::123456789012:role/arriero/llm/us-east-1/{BASE}-infra", "ecs.amazonaws.com")
    ]


def test_its_end_leaves_nothing(place: Place, clients: Any) -> None:
    assert place.arriero("rehearse", "start", "--permissions", "iam").code == 0
    down = place.arriero("down", "--purge", "--yes")
    assert down.code == 0, down.err + down.out
    assert place.arriero("rehearse", "start").code == 0
    ec2, iam = clients("ec2"), clients("iam")
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    assert ec2.describe_instances(Filters=running)["Reservations"] == []
    assert clients("ecs").describe_capacity_providers(capacityProviders=[PROVIDER])["capacityProviders"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []
    assert [role for role in iam.list_roles()["Roles"] if role["Path"].startswith("/arriero/")] == []
    ours = [{"Name": "tag:arriero-service", "Values": ["llm"]}]
    assert ec2.describe_security_groups(Filters=ours)["SecurityGroups"] == []
    assert ec2.describe_vpcs(Filters=ours)["Vpcs"] == []
