"""Which images a repository of ECR lets go, set by the role and read again; the rest of it stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aws_site import AwsSite, spec

from arriero.clouds import read
from arriero.clouds.aws import repository
from arriero.deploy import making
from arriero.errors import Problem
from arriero.pipeline.iam import files as iam
from arriero.plan import place
from arriero.plan.model import Facts, StoreFacts, StorePlan
from arriero.rehearse.permissions import AwsPolicies, Need
from arriero.spec.accounts import Accounts

ACCOUNTS = {"aws": "123456789012"}
WISH = spec(image={"name": "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/llm:1", "keep": 7})


def found() -> StoreFacts:
    (there,) = read.image_registries(WISH, ACCOUNTS)
    return there


def planned(site: AwsSite) -> StorePlan:
    (plan,) = place.plan(WISH, Facts("llm", {"aws-east": site.read()}, registries=(found(),))).registries
    return plan


def test_another_accounts_repository_is_not_looked_at() -> None:
    assert read.image_registries(WISH, {"aws": "210987654321"}) == ()
    assert read.image_registries(spec(), ACCOUNTS) == ()


def test_a_repository_that_is_not_there_is_left_to_who_pushes(site: AwsSite) -> None:
    facts = Facts("llm", {"aws-east": site.read()}, registries=(found(),))
    assert not facts.registries[0].is_there
    assert place.plan(WISH, facts).registries == ()


@pytest.mark.wide
def test_its_rules_are_set_and_nothing_else_of_it(site: AwsSite) -> None:
    ecr = site.client("ecr")
    ecr.create_repository(
        repositoryName="team/llm", imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True}
    )
    assert [change.action for change in planned(site).changes] == ["update"]
    facts = Facts("llm", {"aws-east": site.read()}, registries=(found(),))
    (host,) = making.registry_hosts(WISH, facts, place.plan(WISH, facts))
    done = site.play("site.yml", host.variables)
    assert (done.code, done.changed) == (0, 1), done.output
    kept = json.loads(ecr.get_lifecycle_policy(repositoryName="team/llm")["lifecyclePolicyText"])["rules"]
    assert [(rule["selection"].get("tagPatternList"), rule["selection"]["countNumber"]) for rule in kept] == [
        (["stable*"], 9999),
        (["cuda-stable*"], 9999),
        (["r*"], 7),
        (["cuda-r*"], 7),
        (["git-*"], 30),
        (["cuda-git-*"], 30),
        (None, 7),
    ]
    (about,) = ecr.describe_repositories(repositoryNames=["team/llm"])["repositories"]
    assert about["imageTagMutability"] == "IMMUTABLE"
    assert about["imageScanningConfiguration"] == {"scanOnPush": True}
    assert planned(site).changes == ()
    assert site.play("site.yml", repository.variables(WISH, found()) | {"arriero_part": "registry"}).changed == 0
    ecr.put_image_tag_mutability(
        repositoryName="team/llm",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "stable"}],
    )
    problem = planned(site).problem
    assert isinstance(problem, Problem)
    assert "would set back" in problem.what
    assert forbidden(site) == {"ecr:CreateRepository", "ecr:PutImageTagMutability"}, "which this test did by hand"


def forbidden(site: AwsSite) -> set[str]:
    """The calls to ECR that the exported policies would not have allowed."""
    pinned = WISH.model_copy(update={"accounts": Accounts(aws=ACCOUNTS["aws"])})
    policies = AwsPolicies(json.loads(text) for text in iam.files(pinned, Path()).values())
    lines = map(json.loads, (site.folder / "requests.jsonl").read_text().splitlines())
    calls = [line for line in lines if line["action"].startswith("ecr:")]
    return {line["action"] for line in calls if not all(policies.allows(Need.of(need)) for need in line["needs"])}
