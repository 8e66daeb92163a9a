"""Machines with GPUs in the exported module: what is imported where they stand, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from terraform_specs import SPECS, spec
from terraform_standing import as_wished
from test_terraform import standing, written

from arriero.errors import Refused
from arriero.pipeline.terraform import module


def test_machines_that_stand_are_imported_by_what_their_provider_asks_for(tmp_path: Path) -> None:
    wish = spec(SPECS["on machines with GPUs"])
    read = written(wish, as_wished(wish, "aws-east"), tmp_path)
    assert set(read.resources) == set(read.imports)
    assert read.imports["aws_iam_instance_profile.aws_east"] == "llm-aws-east-machine"
    assert read.imports["aws_launch_template.aws_east"] == "aws.launch_template/llm-aws-east"
    assert read.imports["aws_autoscaling_group.aws_east"] == "llm-aws-east"
    assert read.imports["aws_ecs_capacity_provider.aws_east"] == "aws.capacity_provider/gpu-llm-aws-east"


def test_machines_that_ecs_keeps_are_imported_and_their_provider_is_taken_off_no_cluster(tmp_path: Path) -> None:
    wish = spec(SPECS["on machines with GPUs that ECS keeps"])
    read = written(wish, as_wished(wish, "aws-east"), tmp_path)
    assert set(read.resources) == set(read.imports)
    assert read.imports["aws_ecs_capacity_provider.aws_east"] == "aws.managed_machines/managed-llm-aws-east"
    assert read.imports["aws_iam_role.aws_east_infra"] == "llm-aws-east-infra"
    text = (tmp_path / "aws.tf").read_text()
    _, _, cluster = text.partition('resource "aws_ecs_cluster_capacity_providers" "aws_east"')
    assert "ignore_changes = [capacity_providers]" in cluster.partition("\nresource ")[0]


def test_a_site_that_would_move_to_machines_is_refused() -> None:
    """As `arriero up` refuses it: Terraform would replace the service while it serves."""
    wish = spec(SPECS["on machines with GPUs"])
    with pytest.raises(Refused, match=r"sites\.aws-east\.gpu: the site stands on Fargate, and can't move to machines"):
        module.files(wish, standing(spec()))
