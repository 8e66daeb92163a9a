"""Models from storage in the exported module: who fills the storage, what waits for it, and what stays when it goes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import botocore.session
import pytest
from botocore.validate import ParamValidator
from terraform_files import jobs
from terraform_module import as_plan
from terraform_specs import BIG, SITES, SPECS, nothing, spec
from terraform_standing import as_wished
from test_terraform import written

from arriero.pipeline.terraform import module
from arriero.plan.model import Facts
from arriero.plan.wanted import aws_task
from arriero.spec.model import Spec

WISH = spec(SPECS["models from storage"])
CALLS = [("seed_task", "ecs", "RegisterTaskDefinition"), ("seed_run", "ecs", "RunTask")]
CALLS += [("seed_mark", "efs", "TagResource")]


def standing(wish: Spec) -> Facts:
    """The site as it is wished for, with the ids of what hangs on its file system."""
    facts = as_wished(wish, "aws-east")
    site = facts.sites["aws-east"]
    subnets = [each.name for each in site.resources if each.kind == "aws.subnet"]
    details = {
        "access_point_id": "fsap-1",
        "mount_targets": {name: f"fsmt-{number}" for number, name in enumerate(subnets, 1)},
    }
    resources = tuple(replace(r, details=details) if r.kind == "aws.file_system" else r for r in site.resources)
    return replace(facts, sites={"aws-east": replace(site, resources=resources)})


def test_a_service_waits_for_the_models_that_it_is_to_serve() -> None:
    text = module.files(WISH, nothing(WISH))["aws.tf"]
    assert (
        'condition     = lookup(data.aws_efs_file_system.aws_east.tags, "arriero-models", "") '
        "== terraform_data.aws_east_models.input\n"
    ) in text
    assert 'error_message = "The storage of aws-east does not have llama2:70b yet: README.md says' in text
    service = text.partition('resource "aws_ecs_service"')[2]
    assert "precondition {" in service
    plain = spec({"sites": {"aws-east": SITES["aws-east"]}})
    assert "precondition" not in module.files(plain, nothing(plain))["aws.tf"]


@pytest.mark.parametrize(("name", "service", "operation"), CALLS)
def test_the_job_is_what_the_clouds_own_client_takes(name: str, service: str, operation: str, tmp_path: Path) -> None:
    asked = jobs(written(WISH, nothing(WISH), tmp_path), "aws_east")[name]
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    assert not ParamValidator().validate(asked, shape).has_errors()


def test_the_job_is_the_one_that_up_runs(tmp_path: Path) -> None:
    read = written(WISH, nothing(WISH), tmp_path)
    told = jobs(read, "aws_east")
    task, run, mark = (told[name] for name, *_ in CALLS)
    expected = json.dumps(aws_task.seeding(WISH.site("aws-east")))
    expected = expected.replace(aws_task.FILE_SYSTEM, "aws_efs_file_system.aws_east")
    expected = expected.replace(aws_task.ACCESS_POINT, "aws_efs_access_point.aws_east")
    for end in ("exec", "seed"):
        expected = expected.replace(f"/arriero/llm/us-east-1/llm-aws-east-{end}", f"aws_iam_role.aws_east_{end}")
    assert task == json.loads(expected)
    network = run["networkConfiguration"]["awsvpcConfiguration"]
    assert network["subnets"] == ["aws_subnet.aws_east_1", "aws_subnet.aws_east_2"]
    assert network["securityGroups"] == ["aws_security_group.aws_east"]
    assert (run["launchType"], run["taskDefinition"], run["cluster"]) == ("FARGATE", task["family"], "llm-aws-east")
    tag = {"Key": "arriero-models", "Value": "llama2:70b"}
    assert mark == {"ResourceId": "aws_efs_file_system.aws_east", "Tags": [tag]}
    assert as_plan(read)[0][("aws.stored_models", "llm-aws-east")] == {"models": "llama2:70b"}


def test_what_stands_is_imported_with_all_that_hangs_on_it(tmp_path: Path) -> None:
    read = written(WISH, standing(WISH), tmp_path)
    at_aws = {address for address in read.resources if address.startswith("aws_")}
    assert at_aws == set(read.imports)
    assert read.imports["aws_efs_file_system.aws_east"] == "aws.file_system/llm-aws-east"
    assert read.imports["aws_efs_access_point.aws_east"] == "fsap-1"
    assert read.imports["aws_efs_mount_target.aws_east_2"] == "fsmt-2"
    assert f"| aws-east | {len(at_aws)} | {len(at_aws)} |" in (tmp_path / "README.md").read_text()


def test_a_storage_that_the_spec_has_no_more_is_kept_and_asked_for_nothing(tmp_path: Path) -> None:
    wish = spec({"sites": {"aws-east": SITES["aws-east"]}})
    read = written(wish, standing(WISH), tmp_path)
    assert read.imports["aws_efs_mount_target.aws_east_1"] == "fsmt-1"
    assert not [each for each in read.resources if each.startswith(("output.", "terraform_data.", "data."))]
    text = (tmp_path / "aws.tf").read_text()
    assert "prevent_destroy = true" in text
    assert "precondition" not in text
    assert "Models in the storage" not in (tmp_path / "README.md").read_text()


def test_terraform_neither_loses_the_models_nor_takes_their_tag_away() -> None:
    text = module.files(WISH, nothing(WISH))["aws.tf"]
    system = text.partition('resource "aws_efs_file_system" "aws_east" {')[2].partition("\n}\n")[0]
    assert "prevent_destroy = true" in system
    assert 'ignore_changes  = [tags["arriero-models"]]' in system
    assert '"arriero-models" =' not in system


def test_the_readme_says_how_the_storage_is_filled() -> None:
    said = module.files(WISH, nothing(WISH))["README.md"]
    for name, *_ in CALLS:
        assert f'"$(terraform output -raw aws_east_{name})"' in said
    assert f"Until it has {BIG['name']}," in said
