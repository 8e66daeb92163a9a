"""The policies of who deploys sites with GPUs at AWS, whoever keeps their machines."""

from __future__ import annotations

import json

from test_iam import AWS, EAST, documents


def test_machines_are_among_it_where_a_site_has_gpus_and_only_that_sites() -> None:
    sites = {"a": EAST, "g": {**EAST, "gpu": "T4"}}
    found = documents(sites)
    assert set(found) - set(documents({"a": EAST})) == {"aws-machines.json"}
    held = {action: each for each in found["aws-machines.json"]["Statement"] for action in each["Action"]}
    assert all(each["Resource"] for each in found["aws-machines.json"]["Statement"])
    assert "ecs-compute" not in json.dumps(found["aws-machines.json"])  # which is ECS's own machines'
    role = f"arn:aws:iam::{AWS}:role/arriero/llm/us-east-1/llm-g-machine"
    assert (held["iam:PassRole"]["Resource"], held["iam:PassRole"]["Condition"]) == (
        [role],
        {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    )
    group = f"arn:aws:autoscaling:us-east-1:{AWS}:autoScalingGroup:*:autoScalingGroupName/llm-g"
    assert held["autoscaling:CreateAutoScalingGroup"]["Resource"] == [group]
    provider = f"arn:aws:ecs:us-east-1:{AWS}:capacity-provider/gpu-llm-g"
    assert held["ecs:CreateCapacityProvider"]["Resource"] == [provider]
    assert held["ec2:CreateLaunchTemplate"]["Condition"] == {"StringEquals": {"aws:RequestTag/arriero-service": "llm"}}
    tagging = [each for each in found["aws-machines.json"]["Statement"] if "ec2:CreateTags" in each["Action"]]
    assert {arn.rpartition(":")[2]: each["Condition"] for each in tagging for arn in each["Resource"]} == {
        "launch-template/*": {"StringEquals": {"ec2:CreateAction": ["CreateLaunchTemplate"]}},
        "instance/*": {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        "volume/*": {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
    }
    assert held["ec2:RunInstances"]["Condition"] == {"StringEquals": {"aws:RequestedRegion": ["us-east-1"]}}
    [attaching] = [each for each in found["aws-service.json"]["Statement"] if "iam:AttachRolePolicy" in each["Action"]]
    assert len(attaching["Condition"]["ArnEquals"]["iam:PolicyARN"]) == 2
    assert {arn.rpartition("/")[2] for arn in attaching["Resource"]} == {"llm-a-exec", "llm-g-exec", "llm-g-machine"}


def test_machines_that_ecs_keeps_take_no_group_and_hand_on_one_role_to_ecs() -> None:
    sites = {"a": EAST, "m": {**EAST, "gpu": {"type": "T4", "machines": "managed"}}}
    found = documents(sites)
    assert set(found) - set(documents({"a": EAST})) == {"aws-managed.json"}
    held = {action: each for each in found["aws-managed.json"]["Statement"] for action in each["Action"]}
    assert (held["iam:PassRole"]["Resource"], held["iam:PassRole"]["Condition"]) == (
        [f"arn:aws:iam::{AWS}:role/arriero/llm/us-east-1/llm-m-infra"],
        {"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}},
    )
    made = held["ecs:CreateCapacityProvider"]["Resource"]
    assert [arn.rpartition("/")[2] for arn in made] == ["gpu-llm-m", "managed-llm-m"]
    assert held["ec2:ModifySubnetAttribute"]["Condition"] == {
        "StringEquals": {"aws:ResourceTag/arriero-service": "llm"}
    }
    assert all(each["Resource"] for each in found["aws-managed.json"]["Statement"])
    starting = {"ec2:RunInstances", "ec2:CreateLaunchTemplate", "autoscaling:CreateAutoScalingGroup"}
    assert not starting & held.keys()  # ECS starts them, as a role of the site's own
    [attaching] = [each for each in found["aws-service.json"]["Statement"] if "iam:AttachRolePolicy" in each["Action"]]
    assert {arn.rpartition("/")[2] for arn in attaching["Resource"]} == {
        "llm-a-exec",
        "llm-m-exec",
        "llm-m-machine",
        "llm-m-infra",
    }
    assert [arn.rpartition("/")[2] for arn in attaching["Condition"]["ArnEquals"]["iam:PolicyARN"]] == [
        "AmazonECSTaskExecutionRolePolicy",
        "AmazonECSInstanceRolePolicyForManagedInstances",
        "AmazonECSInfrastructureRolePolicyForManagedInstances",
    ]
    both = documents({"g": {**EAST, "gpu": "T4"}, "m": sites["m"]})
    assert {"aws-machines.json", "aws-managed.json"} <= set(both)
