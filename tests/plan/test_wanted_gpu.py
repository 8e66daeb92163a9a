"""What a site with GPUs holds besides: the machine by its price and room, and the things that start it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from arriero.clouds.aws.variables import site_variables
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts, SitePlan
from arriero.plan.wanted import aws, aws_gpu, aws_task
from arriero.spec.model import Spec

CASES = sorted((Path(__file__).parents[1] / "cases" / "gpu").glob("*.json"))
SMALL = {"gpu": "T4", "size": {"memory": "14GiB"}}


def spec(**site: Any) -> Spec:
    given = {"cloud": "aws", "region": "us-east-1", **site}
    return Spec.model_validate({"name": "llm", "image": "acme/llm:1", "models": ["llama2"], "sites": {"east": given}})


def planned(wish: Spec, *there: Resource) -> SitePlan:
    found = SiteFacts("east", "aws", wish.site("east").region, "123456789012", there)
    return place.plan(wish, Facts("llm", {"east": found})).sites[0]


def things(plan: SitePlan) -> dict[str, Any]:
    return {f"{each.kind} {each.name}": each.properties for each in plan.wanted}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_cheapest_machine_with_room_is_taken(path: Path) -> None:
    case = json.loads(path.read_text())
    plan = planned(spec(**case["site"]))
    wanted = things(plan)
    template, group = wanted["aws.launch_template llm-east"], wanted["aws.autoscaling_group llm-east"]
    each = case["targets_on_it"]
    assert {"machine": template["machine"], "disk_gib": template["disk"]["gib"], "machines_at_most": group["max"]} == {
        key: case[key] for key in ("machine", "disk_gib", "machines_at_most")
    }
    assert any(f"on {case['machine']}, {each} target" in note for note in plan.notes)


def test_a_machine_is_locked_up_and_joins_the_sites_cluster() -> None:
    template = things(planned(spec(**SMALL)))["aws.launch_template llm-east"]
    assert template["image"] == "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id"
    assert template["metadata_tokens"] == "required"
    assert template["disk"]["encrypted"] is True
    assert base64.b64decode(template["user_data"]).decode().splitlines() == [
        "#!/bin/bash",
        "echo ECS_CLUSTER=llm-east >> /etc/ecs/ecs.config",
        "echo ECS_ENABLE_GPU_SUPPORT=true >> /etc/ecs/ecs.config",
        "echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config",
    ]


def test_only_ecs_lets_machines_go_and_the_service_runs_on_no_other_capacity() -> None:
    wanted = things(planned(spec(**SMALL)))
    assert wanted["aws.autoscaling_group llm-east"]["is_protected"] is True
    assert wanted["aws.capacity_provider gpu-llm-east"]["termination_protection"] == "ENABLED"
    assert wanted["aws.cluster llm-east"]["capacity_providers"] == ("FARGATE", "FARGATE_SPOT", "gpu-llm-east")
    service = wanted["aws.service llm-east"]
    assert service["capacity_providers"] == {"gpu-llm-east": {"base": 0, "weight": 1}}
    assert service["network"]["public_ip"] is False  # its machine has the public address
    assert wanted["aws.security_group llm-east-machines"] == {"ingress": (), "egress": ("tcp 443 0.0.0.0/0",)}
    assert wanted["aws.role llm-east-machine"]["policies"] == ("service-role/AmazonEC2ContainerServiceforEC2Role",)


def test_a_task_reserves_its_gpus_on_the_chosen_machine_alone() -> None:
    document = aws_task.document(spec(gpu={"type": "T4", "count": 2}).site("east"), {})
    assert document["requiresCompatibilities"] == ["EC2"]
    assert "ephemeralStorage" not in document
    assert document["placementConstraints"] == [
        {"type": "memberOf", "expression": "attribute:ecs.instance-type == g4dn.12xlarge"}
    ]
    asked = {each["name"]: each.get("resourceRequirements") for each in document["containerDefinitions"]}
    assert asked == {"ollama": [{"type": "GPU", "value": "2"}], "sidecar": None}


def test_a_site_on_fargate_has_none_of_it() -> None:
    wish = spec()
    plan = planned(wish)
    assert not [each for each in plan.wanted if each.kind in (aws_gpu.TEMPLATE, aws_gpu.GROUP, aws_gpu.PROVIDER)]
    document = aws_task.document(wish.site("east"), {})
    assert document["requiresCompatibilities"] == ["FARGATE"]
    assert not {"placementConstraints", "resourceRequirements"} & {*document, *document["containerDefinitions"][0]}
    found = SiteFacts("east", "aws", "us-east-1", "123456789012")
    assert site_variables(wish.site("east"), plan, found)["aws_site_machines"] == []


def test_machines_come_after_the_firewall_and_before_the_cluster() -> None:
    steps = [step.name for step in planned(spec(**SMALL)).steps]
    assert steps == ["identity", "network", "firewall", "logs", "machines", "cluster", "service"]


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        ({}, SMALL, "the site stands on Fargate, and can't move to machines with GPUs"),
        (SMALL, {}, "the site stands on machines with GPUs, and can't move to Fargate"),
    ],
)
def test_a_site_does_not_move_between_fargate_and_machines(now: Any, then: Any, said: str) -> None:
    service = next(each for each in planned(spec(**now)).wanted if each.kind == "aws.service")
    problem = planned(spec(**then), service).problem
    assert problem
    assert (problem.what, problem.key) == (said, "sites.east.gpu")
    assert planned(spec(**now), service).problem is None


def test_another_gpu_is_another_release() -> None:
    assert aws.definition(spec(**SMALL).site("east")) != aws.definition(spec(**{**SMALL, "gpu": "L4"}).site("east"))


@pytest.mark.parametrize(
    ("image", "gpu", "variant"),
    [
        ("acme/llm:1", "T4", "cuda"),
        ({"name": "acme/llm:1", "variant": "cuda"}, "T4", "cuda"),
        ("acme/llm:1", None, "cpu"),
    ],
)
def test_the_image_has_the_libraries_where_a_site_has_gpus(image: Any, gpu: Any, variant: str) -> None:
    given = spec(gpu=gpu).model_dump(exclude_defaults=True) | {"image": image, "models": ["llama2"]}
    assert Spec.model_validate(given).image.variant == variant
