"""The exported module holds every resource and property of the plan and none besides, and imports what stands."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from terraform_blocks import Module
from terraform_module import as_plan
from terraform_named import named, planned
from terraform_specs import KEYS, SITES, SPECS, nothing, spec

from arriero.errors import Problem, Refused
from arriero.pipeline.terraform import module
from arriero.plan import place, wanted
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.plan.wanted import aws, azure, azure_vms
from arriero.spec.model import Spec

CONVERGED = Path(__file__).parents[1] / "cases/plan/aws/converged.json"


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: frozen(part) for key, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def standing(wish: Spec) -> Facts:
    """AWS as it was once read, with what comes to it by the wish; Azure exactly as wished."""
    data = json.loads(CONVERGED.read_text())
    east = SiteFacts(
        "aws-east",
        "aws",
        "us-east-1",
        data["account"],
        tuple(Resource(**frozen(r)) for r in data["resources"]),
        count=2,
    )
    site = wish.site("azure-east")
    digest = place.definition_hash(azure.definition(site))
    there = tuple(
        replace(each, id=f"/subscriptions/1/{each.kind}/{each.name}")
        for each in azure.wanted(site, nothing(wish).sites["azure-east"], 1, 2, digest)
    )
    sites = {**nothing(wish).sites, "aws-east": east}
    sites["azure-east"] = replace(sites["azure-east"], resources=there, count=2, account="1")
    return Facts(wish.name, sites)


def written(wish: Spec, facts: Facts, folder: Path) -> Module:
    for name, text in module.files(wish, facts).items():
        (folder / name).write_text(text)
    return Module(folder)


@pytest.mark.parametrize("name", SPECS)
def test_every_resource_and_property_of_the_plan_is_there_and_none_besides(name: str, tmp_path: Path) -> None:
    wish = spec(SPECS[name])
    read = written(wish, nothing(wish), tmp_path)
    found, _ = as_plan(read)
    assert read.resources == {}
    assert {key: named(key, properties, wish) for key, properties in found.items()} == planned(wish, nothing(wish))


def test_the_list_of_s3s_ranges_is_the_endpoints_own() -> None:
    wish = spec(SPECS["private, through endpoints"])
    text = module.files(wish, nothing(wish))["aws.tf"]
    assert "prefix_list_ids = [aws_vpc_endpoint.aws_east_s3.prefix_list_id]" in text
    assert "depends_on" not in text.partition('resource "aws_ecs_service"')[0]


def test_every_kind_that_a_plan_can_hold_can_be_written() -> None:
    """But for what no plan wishes for."""
    assert set(module.MAKERS["aws"]) == set(aws.KINDS)
    unsaid = set(azure_vms.LEFT_KINDS)
    assert set(module.MAKERS["azure"]) == set(azure.KINDS) - unsaid


def test_no_module_of_the_wish_names_a_kind_that_is_forgotten_here() -> None:
    """As the code spells them, whatever list they are in."""
    written_down = {
        each.value
        for file in Path(wanted.__file__).parent.glob("*.py")
        for each in ast.walk(ast.parse(file.read_text()))
        if isinstance(each, ast.Constant) and re.fullmatch(r"(aws|azure)\.[a-z_]+", str(each.value))
    }
    read_only = {"azure.container_registry", "azure.key_vault"}  # the user's own, to which private endpoints lead
    known = {*module.MAKERS["aws"], *module.MAKERS["azure"], azure_vms.VM_KIND, *azure_vms.LEFT_KINDS}
    assert written_down - known == read_only


def test_keys_of_edges_are_a_reference_and_their_number_is_terraforms() -> None:
    wish = spec(SPECS["behind edges"])
    text = module.files(wish, nothing(wish))["aws.tf"]
    assert text.count(KEYS) == 2  # the definition's, and that of whom may read it
    targets, edges = (
        text.partition(f'resource "aws_ecs_service" "{label}"')[2].partition("\n}\n")[0]
        for label in ("aws_east", "aws_east_edge")
    )
    assert "desired_count                      = 3" in edges
    assert ["ignore_changes" in each for each in (targets, edges)] == [True, False]


def test_what_terraform_can_not_say_is_refused_by_name() -> None:
    wish = spec({"sites": {"aws-east": SITES["aws-east"]}})
    makers = {kind: maker for kind, maker in module.MAKERS["aws"].items() if kind != "aws.log_group"}
    site = module.Site(wish.site("aws-east"), place.plan(wish, nothing(wish)).sites[0], nothing(wish).sites["aws-east"])
    with pytest.raises(Refused, match=r"sites\.aws-east: the plan holds log group, which can't be exported"):
        module.pieces(site, makers)


def test_what_stands_is_imported_by_the_ids_that_were_read(tmp_path: Path) -> None:
    wish = spec({"size": {"storage": "20GiB"}})
    read = written(wish, standing(wish), tmp_path)
    east = {address: identity for address, identity in read.imports.items() if "_east" in address}
    assert set(east) == {address for address in read.resources if "_east" in address}
    assert not [address for address in read.imports if "china" in address]
    assert read.imports["aws_vpc.aws_east"] == "vpc-cd2b531ccc23e95c0"
    assert read.imports["aws_route_table_association.aws_east_2"] == "subnet-16617597f633ec7df/rtb-a2c3b019009b7e84b"
    assert (
        read.imports["aws_iam_role_policy.aws_east_task_keep_from_scale_in"] == "llm-aws-east-task:keep-from-scale-in"
    )
    assert read.imports["aws_ecs_service.aws_east"] == "llm-aws-east/llm-aws-east"
    assert read.imports["azurerm_nat_gateway_public_ip_association.azure_east"] == (
        "/subscriptions/1/azure.nat_gateway/llm-azure-east|/subscriptions/1/azure.public_ip/llm-azure-east"
    )


def test_tags_are_those_that_the_site_was_made_with(tmp_path: Path) -> None:
    """The plan compares few of them; without them arriero would not find its own things any more."""
    wish = spec({"size": {"storage": "20GiB"}})
    _, tags = as_plan(written(wish, standing(wish), tmp_path))
    found = standing(wish).sites["aws-east"].resources
    assert {(r.kind, r.name): dict(r.tags) for r in found if r.kind != "aws.task_definition"} == {
        key: value for key, value in tags.items() if "aws-east" in key[1]
    }


def test_a_thing_that_is_missing_is_not_imported_and_neither_is_its_tie(tmp_path: Path) -> None:
    wish = spec()
    facts = standing(wish)
    kept = tuple(r for r in facts.sites["aws-east"].resources if r.name != "llm-aws-east 10.64.16.0/20")
    sites = {**facts.sites, "aws-east": replace(facts.sites["aws-east"], resources=kept)}
    read = written(wish, replace(facts, sites=sites), tmp_path)
    missing = {address for address in read.resources if "aws_east" in address} - set(read.imports)
    assert missing == {"aws_subnet.aws_east_2", "aws_route_table_association.aws_east_2"}


def test_a_site_out_of_reach_is_written_without_imports_and_that_is_said(tmp_path: Path) -> None:
    wish = spec()
    facts = standing(wish)
    lost = replace(facts.sites["aws-east"], problem=Problem("AWS gave no answer", "try again"), resources=())
    read = written(wish, replace(facts, sites={**facts.sites, "aws-east": lost}), tmp_path)
    assert "aws_vpc.aws_east" in read.resources
    assert not [address for address in read.imports if "aws_east" in address]
    said = (tmp_path / "imports.tf").read_text()
    assert "# aws-east could not be read: AWS gave no answer; try again\n# Nothing of it is imported." in said
    assert "| aws-east | 21 | nothing: it could not be read |" in (tmp_path / "README.md").read_text()


def test_a_group_that_others_made_is_never_destroyed_by_terraform(tmp_path: Path) -> None:
    wish = spec()
    facts = standing(wish)
    theirs = tuple(
        replace(r, details={"ours": False}) if r.kind == "azure.resource_group" else r
        for r in facts.sites["azure-east"].resources
    )
    site = replace(facts.sites["azure-east"], resources=theirs)
    written(wish, replace(facts, sites={**facts.sites, "azure-east": site}), tmp_path)
    assert "prevent_destroy = true" in (tmp_path / "azure.tf").read_text()


def test_the_account_that_was_read_is_the_only_one_allowed(tmp_path: Path) -> None:
    wish = spec()
    providers = {each.get("alias", "azure"): each for each in written(wish, standing(wish), tmp_path).providers}
    assert providers["aws_east"]["allowed_account_ids"] == ["123456789012"]
    assert "allowed_account_ids" not in providers["aws_china"]
    assert providers["azure"]["subscription_id"] == "1"


def test_where_nothing_could_be_read_nothing_is_said_to_be_missing(tmp_path: Path) -> None:
    """`terraform apply` would make everything twice."""
    wish = spec({"accounts": {"aws": "123456789012"}})
    facts = nothing(wish)
    lost = {name: replace(found, problem=Problem("no answer")) for name, found in facts.sites.items()}
    providers = written(wish, replace(facts, sites=lost), tmp_path).providers
    assert "Nothing stands yet" not in (tmp_path / "imports.tf").read_text()
    assert "ARM_SUBSCRIPTION_ID" in (tmp_path / "providers.tf").read_text()
    assert {tuple(each.get("allowed_account_ids", ())) for each in providers} == {("123456789012",), ()}


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not installed")
def test_terraform_itself_would_lay_it_out_the_same(tmp_path: Path) -> None:
    for name, changes in SPECS.items():
        (tmp_path / name).mkdir()
        written(spec(changes), nothing(spec(changes)), tmp_path / name)
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-recursive", str(tmp_path)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
