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


def test_a_site_that_would_move_to_machines_is_refused() -> None:
    """As `arriero up` refuses it: Terraform would replace the service while it serves."""
    wish = spec(SPECS["on machines with GPUs"])
    with pytest.raises(Refused, match=r"sites\.aws-east\.gpu: the site stands on Fargate, and can't move to machines"):
        module.files(wish, standing(spec()))
