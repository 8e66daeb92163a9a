"""The role `aws_site` by plain ansible-playbook against the emulated AWS, with real server processes.

One site lives through all tests of this file, in their order: made, tampered with, failed, removed.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from aws_site import BASE, REF, AwsSite, spec, until

from arriero.clouds.aws import facts
from arriero.rehearse.emulator import Fault

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

WISH = spec(deploy={"stop_within": "2s"})
REGISTERED = (
    "family",
    "memory",
    "networkMode",
    "requiresCompatibilities",
    "executionRoleArn",
    "taskRoleArn",
    "volumes",
    "containerDefinitions",
)


def test_a_site_is_made_once_and_a_second_run_changes_nothing(site: AwsSite) -> None:
    variables = site.variables(WISH)
    made = site.play("every_site.yml", variables)
    assert made.code == 0, made.output
    assert site.plan(WISH).changes == ()
    targets = site.read().targets
    assert [(t.state, t.release) for t in targets] == [("ready", 1), ("ready", 1)]
    assert len({target.address for target in targets}) == 2
    again = site.play("every_site.yml", variables)
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_task_definition_with_another_value_is_replaced(site: AwsSite) -> None:
    _register_another_value(site)
    [change] = site.plan(WISH).changes
    assert change.reason == "containerDefinitions.ollama.environment.OLLAMA_NUM_PARALLEL: is 9, should be 4"
    _repair(site)
    assert {target.release for target in site.read().targets if target.state == "ready"} == {1}


def test_what_ecs_service_does_not_compare_is_set_right_all_the_same(site: AwsSite) -> None:
    _tamper_with_the_service(site)
    site.client("logs").put_retention_policy(logGroupName="/arriero/llm/aws-east", retentionInDays=3)
    _open_ssh(site)
    assert {step.name for step in site.plan(WISH).steps} == {"firewall", "logs", "service"}
    _repair(site)
    [service] = site.client("ecs").describe_services(cluster=BASE, services=[BASE])["services"]
    assert [(p["capacityProvider"], p["weight"]) for p in service["capacityProviderStrategy"]] == [("FARGATE", 1)]
    assert service["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"
    assert service["desiredCount"] == 4


def test_a_storm_is_waited_out_and_one_without_end_is_named(site: AwsSite) -> None:
    service = {**site.variables(WISH), "aws_site_steps": ["service"]}
    site.aws.apply(Fault("aws", "us-east-1", "throttle", until=time.time() + 20))
    lost = site.play("every_site.yml", {**service, "patient_step_seconds": 1})
    assert lost.code == 2
    said = " ".join(lost.output.split())
    assert f"AWS has throttled this site for 1 seconds; its last words: Failed to find service {BASE}" in said
    assert "(ThrottlingException)" in said
    assert "| wait a minute and run the same again; what is done stays done" in said
    site.aws.apply(Fault("aws", "us-east-1", "throttle", until=time.time() + 12))
    done = site.play("every_site.yml", service)
    assert (done.code, done.changed) == (0, 0), done.output
    assert "Wait, because the cloud throttles this site" in done.output


def test_an_image_that_exits_says_why_and_what_served_before_goes_on(site: AwsSite) -> None:
    before = {target.id for target in facts.read_targets(REF) if target.state == "ready"}
    failed = site.up(spec(deploy={"stop_within": "2s"}, image="acme/broken:exit-1", size={"storage": "50GiB"}))
    assert failed.code == 2
    said = " ".join(failed.output.split())
    assert f"{BASE}: the targets did not come up: ECS went back to {BASE}:" in said
    assert "Why tasks stopped: Essential container in task exited (exit code 1)" in said
    assert before <= {target.id for target in facts.read_targets(REF) if target.state == "ready"}


def test_storage_beyond_what_is_included_is_registered_and_converges(site: AwsSite) -> None:
    wish = spec(deploy={"stop_within": "2s"}, size={"storage": "50GiB"})
    done = site.up(wish)
    assert done.code == 0, done.output
    assert site.plan(wish).changes == ()
    found = site.client("ecs").describe_task_definition(taskDefinition=BASE)["taskDefinition"]
    assert found["ephemeralStorage"] == {"sizeInGiB": 50}


def test_a_removal_leaves_nothing_and_touches_nothing_else(site: AwsSite) -> None:
    ec2 = site.client("ec2")
    other = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    done = site.down()
    assert done.code == 0, done.output
    assert site.read().resources == ()
    tagged = site.client("resourcegroupstaggingapi").get_resources(
        TagFilters=[{"Key": "arriero-service", "Values": ["llm"]}]
    )
    assert tagged["ResourceTagMappingList"] == []
    assert [vpc["VpcId"] for vpc in ec2.describe_vpcs(VpcIds=[other])["Vpcs"]] == [other]
    until(lambda: not site.aws.containers())
    assert site.down().changed == 0


def _repair(site: AwsSite) -> None:
    done = site.up(WISH)
    assert done.code == 0, done.output
    assert site.plan(WISH).changes == ()


def _register_another_value(site: AwsSite) -> None:
    ecs = site.client("ecs")
    found = ecs.describe_task_definition(taskDefinition=BASE)["taskDefinition"]
    document: dict[str, Any] = json.loads(json.dumps({key: found[key] for key in REGISTERED}))
    for row in document["containerDefinitions"][0]["environment"]:
        row["value"] = "9" if row["name"] == "OLLAMA_NUM_PARALLEL" else row["value"]
    made = ecs.register_task_definition(cpu=found["cpu"], runtimePlatform=found["runtimePlatform"], **document)
    ecs.update_service(cluster=BASE, service=BASE, taskDefinition=made["taskDefinition"]["taskDefinitionArn"])


def _tamper_with_the_service(site: AwsSite) -> None:
    ecs = site.client("ecs")
    [service] = ecs.describe_services(cluster=BASE, services=[BASE])["services"]
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    ecs.update_service(
        cluster=BASE,
        service=BASE,
        desiredCount=9,
        networkConfiguration={"awsvpcConfiguration": {**network, "assignPublicIp": "DISABLED"}},
        deploymentConfiguration={"maximumPercent": 150, "minimumHealthyPercent": 50},
        capacityProviderStrategy=[{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
    )


def _open_ssh(site: AwsSite) -> None:
    found = site.read().find("aws.security_group")
    assert found is not None
    everywhere = [{"CidrIp": "0.0.0.0/0"}]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": everywhere}
    site.client("ec2").authorize_security_group_ingress(GroupId=found.id, IpPermissions=[rule])
