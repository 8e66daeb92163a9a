"""What a site holds besides whose machines ECS keeps by itself: one capacity provider, and what ECS needs for it."""

from __future__ import annotations

from typing import Any

import pytest
from test_wanted_gpu import SMALL, planned, spec, things

from arriero.clouds.aws.variables import removal_variables, site_variables
from arriero.plan.model import Resource, SiteFacts
from arriero.plan.wanted import aws, aws_gpu, aws_managed, aws_task

MANAGED = {**SMALL, "gpu": {"type": "T4", "machines": "managed"}}
ACCOUNT = "123456789012"
OWN = {"public_addresses": True}


def given(**subnet: Any) -> tuple[Resource, ...]:
    """A VPC of the user's own."""
    leads = {"cidr": "10.3.0.0/24", "zone": "us-east-1a", "default": "internet gateway", **subnet}
    return (
        Resource("aws.vpc", "vpc-0a1b2c3d", {"ranges": ("10.3.0.0/16",)}, "vpc-0a1b2c3d"),
        *(Resource("aws.subnet", f"subnet-0a1b2c3{n}", leads, f"subnet-0a1b2c3{n}") for n in (1, 2)),
    )


def test_ecs_is_told_what_a_machine_must_be_and_no_group_or_template_is_made() -> None:
    wanted = things(planned(spec(**MANAGED)))
    provider = wanted["aws.managed_machines managed-llm-east"]
    assert provider["requirements"] == {
        "vCpuCount": {"min": 4},
        "memoryMiB": {"min": 14336},
        "acceleratorTypes": ("gpu",),
        "acceleratorManufacturers": ("nvidia",),
        "acceleratorNames": ("t4",),
        "acceleratorCount": {"min": 1},
        "allowedInstanceTypes": ("g4dn.xlarge",),
    }
    assert (provider["disk_gib"], provider["idle_seconds"], provider["capacity"]) == (50, 300, "ON_DEMAND")
    assert provider["security_groups"] == ("llm-east-machines",)
    assert not {key.partition(" ")[0] for key in wanted} & {aws_gpu.TEMPLATE, aws_gpu.GROUP, aws_gpu.PROVIDER}


@pytest.mark.parametrize(
    ("site", "machine", "accelerator"),
    [
        ({"gpu": {"type": "L40S", "machines": "managed"}}, "g6e.xlarge", ("l40s", 1)),
        ({"gpu": {"type": "a10g", "count": 4, "machines": "managed"}}, "g5.12xlarge", ("a10g", 4)),
    ],
)
def test_the_machine_is_the_one_that_a_group_would_have(site: Any, machine: str, accelerator: tuple[str, int]) -> None:
    asked = things(planned(spec(**site)))["aws.managed_machines managed-llm-east"]["requirements"]
    assert asked["allowedInstanceTypes"] == (machine,)
    assert (asked["acceleratorNames"][0], asked["acceleratorCount"]["min"]) == accelerator
    own = things(planned(spec(**{**site, "gpu": {**site["gpu"], "machines": None}})))
    assert own["aws.launch_template llm-east"]["machine"] == machine


def test_ecs_may_have_machines_and_hand_them_their_own_role_alone() -> None:
    wanted = things(planned(spec(**MANAGED)))
    machine, infrastructure = wanted["aws.role llm-east-machine"], wanted["aws.role llm-east-infra"]
    assert machine["policies"] == ("AmazonECSInstanceRolePolicyForManagedInstances",)
    assert infrastructure["policies"] == ("AmazonECSInfrastructureRolePolicyForManagedInstances",)
    [trust] = infrastructure["trust"]
    assert trust["Principal"] == {"Service": "ecs.amazonaws.com"}
    [passing] = infrastructure["inline_policies"]["pass-machine-role"]["Statement"]
    assert passing == {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": "arn:*:iam::*:role/arriero/llm/us-east-1/llm-east-machine",
        "Condition": {"StringLike": {"iam:PassedToService": "ec2.*"}},
    }


def test_the_cluster_is_not_told_of_it_and_the_service_runs_on_no_other_capacity() -> None:
    wanted = things(planned(spec(**MANAGED)))
    assert wanted["aws.cluster llm-east"]["capacity_providers"] == ("FARGATE", "FARGATE_SPOT")
    service = wanted["aws.service llm-east"]
    assert service["capacity_providers"] == {"managed-llm-east": {"base": 0, "weight": 1}}
    assert service["network"]["public_ip"] is False  # its machine has the public address


def test_it_comes_after_the_cluster_that_it_belongs_to() -> None:
    steps = [step.name for step in planned(spec(**MANAGED)).steps]
    assert steps == ["identity", "network", "firewall", "logs", "cluster", "managed", "service"]


def test_a_task_says_that_it_runs_there_and_another_kind_of_machines_is_another_definition() -> None:
    document = aws_task.document(spec(**MANAGED).site("east"), {})
    assert document["requiresCompatibilities"] == ["MANAGED_INSTANCES"]
    assert not {"ephemeralStorage", "ipcMode", "proxyConfiguration"} & document.keys()
    assert aws.definition(spec(**MANAGED).site("east")) != aws.definition(spec(**SMALL).site("east"))


@pytest.mark.parametrize(
    ("mode", "gpu", "more"),
    [("public", MANAGED["gpu"], OWN), ("private", MANAGED["gpu"], {}), ("public", "T4", {}), ("public", None, {})],
)
def test_a_public_sites_subnets_give_managed_machines_their_addresses(
    mode: str, gpu: Any, more: dict[str, Any]
) -> None:
    wish = spec(**{**SMALL, "gpu": gpu}, network={"mode": mode})
    plan = planned(wish)
    subnets = [each.properties for each in plan.wanted if each.kind == "aws.subnet" and "edge" not in each.name]
    assert {tuple(each) for each in subnets[:2]} == {("cidr", "zone", *more)}
    told = site_variables(wish.site("east"), plan, SiteFacts("east", "aws", "us-east-1", ACCOUNT))
    assert [each["public_addresses"] for each in told["aws_site_subnets"]] == [bool(more)] * 2  # type: ignore[call-overload,index,union-attr]


def test_subnets_of_the_users_own_must_give_them() -> None:
    network = {"vpc": "vpc-0a1b2c3d", "subnets": ["subnet-0a1b2c31", "subnet-0a1b2c32"], "cidr": "10.3.0.0/16"}
    site = spec(**MANAGED, network=network).site("east")
    blank = SiteFacts("east", "aws", "us-east-1", ACCOUNT, given=given(**OWN))
    assert aws.wanted(site, blank, 1, 1, "0123")
    with pytest.raises(
        aws_gpu.Refused, match="subnet-0a1b2c31 gives new machines no public address, without which managed"
    ):
        aws.wanted(site, SiteFacts("east", "aws", "us-east-1", given=given(public_addresses=False)), 1, 1, "0123")
    own = spec(**SMALL, network=network).site("east")
    assert aws.wanted(own, SiteFacts("east", "aws", "us-east-1", given=given(public_addresses=False)), 1, 1, "0123")


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        ({}, MANAGED, "the site stands on Fargate, and can't move to managed machines with GPUs"),
        (SMALL, MANAGED, "the site stands on machines with GPUs, and can't move to managed machines with GPUs"),
        (MANAGED, SMALL, "the site stands on managed machines with GPUs, and can't move to machines with GPUs"),
        (MANAGED, {}, "the site stands on managed machines with GPUs, and can't move to Fargate"),
    ],
)
def test_a_site_does_not_move_to_or_from_them(now: Any, then: Any, said: str) -> None:
    service = next(each for each in planned(spec(**now)).wanted if each.kind == "aws.service")
    problem = planned(spec(**then), service).problem
    assert problem
    assert (problem.what, problem.key) == (said, "sites.east.gpu")
    assert planned(spec(**now), service).problem is None


def test_the_role_is_told_what_ecs_takes_with_arns() -> None:
    wish = spec(**MANAGED)
    found = SiteFacts("east", "aws", "us-east-1", ACCOUNT)
    told: Any = site_variables(wish.site("east"), planned(wish), found)
    assert (told["aws_site_machines"], told["aws_site_machine_profiles"]) == ([], ["llm-east-machine"])
    [machines] = told["aws_site_managed_machines"]
    assert machines["name"] == "managed-llm-east"
    asked = machines["configuration"]
    assert asked["infrastructureRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/arriero/llm/us-east-1/llm-east-infra"
    template = asked["instanceLaunchTemplate"]
    profile = f"arn:aws:iam::{ACCOUNT}:instance-profile/arriero/llm/us-east-1/llm-east-machine"
    assert template["ec2InstanceProfileArn"] == profile
    assert template["storageConfiguration"] == {"storageSizeGiB": 50}
    assert template["instanceRequirements"]["allowedInstanceTypes"] == ["g4dn.xlarge"]
    assert asked["infrastructureOptimization"] == {"scaleInAfter": 300}
    assert [role["name"] for role in told["aws_site_roles"]][-2:] == ["llm-east-machine", "llm-east-infra"]
    assert ("llm-east-infra", "pass-machine-role") in [
        (each["role"], each["policy"]) for each in told["aws_site_own_policies"]
    ]


def test_what_stands_of_it_is_removed_with_its_cluster_named() -> None:
    provider = next(each for each in planned(spec(**MANAGED)).wanted if each.kind == aws_managed.PROVIDER)
    gone: Any = removal_variables(SiteFacts("east", "aws", "us-east-1", ACCOUNT, (provider,)), purge=False)
    assert gone["aws_site_gone"]["managed_machines"] == [{"name": "managed-llm-east", "cluster": "llm-east"}]
