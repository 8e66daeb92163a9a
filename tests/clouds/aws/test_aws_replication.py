"""Copies of a repository in another region, set by the role beside others' rules, read again, and taken back."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from aws_site import AwsSite, spec

from arriero.cli.show import copying_lines
from arriero.clouds import read
from arriero.clouds.aws import repository
from arriero.clouds.aws.clients import clients
from arriero.deploy import making
from arriero.deploy.engine import Run
from arriero.deploy.project import Project
from arriero.errors import Problem
from arriero.events import ignore
from arriero.pipeline.iam import files as iam
from arriero.plan import registries
from arriero.plan.model import Facts, Plan, StoreFacts
from arriero.rehearse.emulator import Fault
from arriero.rehearse.permissions import AwsPolicies, Need
from arriero.spec.accounts import Accounts
from arriero.spec.model import Spec

pytestmark = pytest.mark.wide

ACCOUNT = "123456789012"
NAME = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/team/llm:1"
THEIRS = {
    "destinations": [{"region": "us-west-2", "registryId": ACCOUNT}],
    "repositoryFilters": [{"filter": "theirs/", "filterType": "PREFIX_MATCH"}],
}
OURS = {
    "destinations": [{"region": "eu-west-1", "registryId": ACCOUNT}],
    "repositoryFilters": [{"filter": "team/llm", "filterType": "PREFIX_MATCH"}],
}


def wish(replicate: bool = True) -> Spec:
    made = spec(image={"name": NAME, "replicate": replicate})
    eu = made.sites["aws-east"].model_copy(update={"region": "eu-west-1"})
    return made.model_copy(update={"sites": {**made.sites, "aws-eu": eu}, "accounts": Accounts(aws=ACCOUNT)})


def found(wanted: Spec) -> tuple[StoreFacts, ...]:
    return read.image_registries(wanted, {"aws": ACCOUNT})


def planned(wanted: Spec) -> list[tuple[str, str]]:
    plans = registries.plans(wanted, found(wanted))
    return [(plan.region, change.kind) for plan in plans for change in plan.changes]


def rules(site: AwsSite) -> list[Any]:
    said = site.client("ecr").describe_registry()["replicationConfiguration"]["rules"]
    return list(said)


def calls(site: AwsSite) -> list[dict[str, Any]]:
    lines = map(json.loads, (site.folder / "requests.jsonl").read_text().splitlines())
    return [line for line in lines if line["action"].startswith("ecr:")]


def pinned(digest: str) -> Spec:
    whole = wish()
    name = f"{whole.image.repository}@sha256:{digest * 32}"
    return whole.model_copy(update={"image": whole.image.model_copy(update={"name": name})})


def lacks(facts: Facts, wanted: Spec) -> list[str]:
    """The regions whose repository has not the image of that spec."""
    plans = registries.plans(wanted, read.with_images(facts, wanted).registries)
    return [plan.region for plan in plans if plan.lacks]


def push(region: str, digest: str, tag: str) -> None:
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "layers": [], "content": digest}
    clients().get("ecr", region).put_image(
        repositoryName="team/llm", imageManifest=json.dumps(manifest), imageTag=tag, imageDigest=f"sha256:{digest * 32}"
    )


@pytest.fixture(scope="module")
def stocked(site: AwsSite) -> AwsSite:
    for region in ("us-east-1", "eu-west-1"):
        clients().get("ecr", region).create_repository(repositoryName="team/llm")
    site.client("ecr").put_replication_configuration(replicationConfiguration={"rules": [THEIRS]})
    return site


def test_a_spec_without_copies_makes_no_call_more(stocked: AwsSite) -> None:
    before = len(calls(stocked))
    assert [each.region for each in found(wish(replicate=False))] == ["us-east-1"]
    made = [line["action"] for line in calls(stocked)[before:]]
    assert made == ["ecr:DescribeRepositories", "ecr:GetLifecyclePolicy"]


def test_the_rule_is_set_beside_others_and_each_repository_gets_the_same_policy(stocked: AwsSite) -> None:
    before = len(calls(stocked))
    assert planned(wish()) == [
        ("us-east-1", "aws.repository"),
        ("us-east-1", "aws.replication"),
        ("eu-west-1", "aws.repository"),
    ]
    facts = read.with_images(Facts("llm", {}, registries=found(wish())), wish())
    plan = Plan("llm", 1, (), registries=registries.plans(wish(), facts.registries))
    hosts = making.registry_hosts(wish(), facts, plan)
    assert [host.name for host in hosts] == ["registry.aws.us-east-1", "registry.aws.eu-west-1"]
    for host in hosts:
        done = stocked.play("site.yml", host.variables)
        assert done.code == 0, done.output
    assert rules(stocked) == [THEIRS, OURS]
    assert planned(wish()) == []
    assert stocked.play("site.yml", hosts[0].variables).changed == 0
    policies = AwsPolicies(json.loads(text) for text in iam.files(wish(), Path()).values())
    forbidden = {
        line["action"]
        for line in calls(stocked)[before:]
        if not all(policies.allows(Need.of(need)) for need in line["needs"])
    }
    assert forbidden == set()


def test_whether_the_copy_holds_the_image_is_asked_by_the_name_that_is_deployed(stocked: AwsSite) -> None:
    by_tag, by_digest = wish(), pinned("0a")
    before, facts = len(calls(stocked)), Facts("llm", {}, registries=found(by_tag))
    assert "ecr:DescribeImages" not in {line["action"] for line in calls(stocked)[before:]}
    assert (lacks(facts, by_tag), lacks(facts, by_digest)) == (["eu-west-1"], ["eu-west-1"])
    for tag in ("1", "r1"):
        push("us-east-1", "0a", tag)
    assert (lacks(facts, by_tag), lacks(facts, by_digest)) == ([], [])
    push("eu-west-1", "0b", "1")  # there the tag stands for another one from now on
    assert (lacks(facts, by_digest), lacks(facts, pinned("0b")), lacks(facts, pinned("0c"))) == ([], [], ["eu-west-1"])
    alone = wish(replicate=False)
    assert read.with_images(facts, alone) is facts


def test_a_copy_that_does_not_tell_whether_it_holds_the_image_hinders_nothing(stocked: AwsSite) -> None:
    facts = Facts("llm", {}, registries=found(wish()))
    stocked.aws.apply(Fault("aws", "eu-west-1", "lose", until=time.time() + 600))
    try:
        _, copy = registries.plans(wish(), read.with_images(facts, wish()).registries)
    finally:
        stocked.aws.apply(Fault("aws", "eu-west-1", "lose", until=time.time() - 1))
    assert (copy.lacks, copy.changes, copy.problem is not None) == (False, (), True)


def test_a_rule_of_others_that_copies_it_already_is_enough(stocked: AwsSite) -> None:
    ecr, whole = stocked.client("ecr"), {"destinations": OURS["destinations"]}
    ecr.put_replication_configuration(replicationConfiguration={"rules": [whole]})
    assert planned(wish()) == []
    home = found(wish())[0]
    assert next(each for each in home.resources if each.kind == registries.REPLICATION).details["own"] == ()
    assert stocked.play("site.yml", {**repository.variables(wish(), home), "arriero_part": "registry"}).changed == 0
    assert rules(stocked) == [whole]


def test_what_is_taken_back_is_the_services_own_and_nothing_else(stocked: AwsSite) -> None:
    more = {**OURS, "destinations": [*OURS["destinations"], *THEIRS["destinations"]]}
    everywhere = {"destinations": OURS["destinations"]}
    kept = {**OURS, "destinations": THEIRS["destinations"]}
    nowhere = {**THEIRS, "destinations": []}
    for before, after in (
        ([THEIRS, OURS, everywhere], [THEIRS, everywhere]),
        ([more, THEIRS], [kept, THEIRS]),
        ([nowhere, OURS], [nowhere]),
    ):
        stocked.client("ecr").put_replication_configuration(replicationConfiguration={"rules": before})
        variables = repository.removal_variables(found(wish())[0])
        assert variables["aws_registry_copies"] == ["eu-west-1"]
        done = stocked.play("remove.yml", {**variables, "arriero_part": "registry"})
        assert (done.code, done.changed) == (0, 1), done.output
        assert rules(stocked) == after


def test_down_says_and_takes_back_what_is_copied_for_the_service(stocked: AwsSite) -> None:
    run = Run(Project(stocked.folder / "arriero.yaml"), stocked.environment, ignore)
    stocked.client("ecr").put_replication_configuration(replicationConfiguration={"rules": [THEIRS, OURS]})
    there = found(wish())
    assert copying_lines(there) == ["images\n  - replication of team/llm to eu-west-1: what is there stays"]
    assert making.remove_replication(run, wish(), there) == ()
    assert rules(stocked) == [THEIRS]
    assert copying_lines(found(wish())) == []


def test_a_registry_that_does_not_tell_is_a_problem_of_down_only_where_it_may_copy(tmp_path: Path) -> None:
    run = Run(Project(tmp_path / "arriero.yaml"), {}, ignore)
    lost = StoreFacts("aws", "team/llm", "us-east-1", problem=Problem("nobody answers"))
    copy = StoreFacts("aws", "team/llm", "eu-west-1", problem=Problem("nobody answers"))
    assert [str(each) for each in making.remove_replication(run, wish(), (lost, copy))] == [
        "image.replicate: nobody answers"
    ]
    assert making.remove_replication(run, wish(replicate=False), (lost,)) == ()
