"""What a registry lets go: the rules that are wished for, and what a plan says of others."""

from __future__ import annotations

import pytest

from arriero.plan import registries
from arriero.plan.model import Resource, StoreFacts
from arriero.plan.registries import Place
from arriero.spec.model import Spec

SITES = {"a": {"cloud": "aws", "region": "us-east-1"}, "b": {"cloud": "azure", "region": "eastus"}}
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/llm"
RULES = (
    "stable*: imageCountMoreThan 9999",
    "cuda-stable*: imageCountMoreThan 9999",
    "r*: imageCountMoreThan 10",
    "cuda-r*: imageCountMoreThan 10",
    "git-*: sinceImagePushed 30 days",
    "cuda-git-*: sinceImagePushed 30 days",
    "untagged: sinceImagePushed 7 days",
)


def spec(image: object, sites: object = SITES) -> Spec:
    return Spec.model_validate({"name": "llm", "image": image, "models": ["tiny"], "sites": sites})


@pytest.mark.parametrize(
    ("image", "place"),
    [
        (f"{ECR}:1", Place("123456789012", "eu-west-1", "team/llm")),
        ({"name": "acme/llm:1", "registries": {"aws": ECR}}, Place("123456789012", "eu-west-1", "team/llm")),
        ({"name": f"{ECR}:1", "registries": {"aws": "acme/llm"}}, None),
        ("acme/llm:1", None),
    ],
)
def test_a_repository_of_ecr_is_known_by_its_name(image: object, place: Place | None) -> None:
    assert registries.place(spec(image)) == place


def test_a_site_at_azure_alone_pulls_from_no_ecr() -> None:
    assert registries.place(spec(f"{ECR}:1", {"b": SITES["b"]})) is None


def test_rules_are_read_in_the_order_in_which_they_count() -> None:
    wanted = registries.policy(10)
    assert registries.rules(wanted) == RULES
    assert registries.rules({"rules": list(reversed(wanted["rules"]))}) == RULES
    old = {"tagStatus": "tagged", "tagPrefixList": ["v"], "countType": "imageCountMoreThan", "countNumber": 3}
    assert registries.rules({"rules": [{"rulePriority": 1, "selection": old}]}) == ("v*: imageCountMoreThan 3",)
    assert registries.rules({}) == ()


def found(*rules: str) -> StoreFacts:
    return StoreFacts("aws", "team/llm", "eu-west-1", (Resource("aws.repository", "team/llm", {"expires": rules}),))


def test_a_plan_tells_what_a_repository_lets_go_that_it_should_keep() -> None:
    (plan,) = registries.plans(spec(f"{ECR}:1"), [found("git-*: sinceImagePushed 1 days")])
    assert [(change.action, change.name) for change in plan.changes] == [("update", "team/llm")]
    assert "expires" in plan.changes[0].reason
    (same,) = registries.plans(spec(f"{ECR}:1"), [found(*RULES)])
    assert not same.changes


def test_a_repository_that_is_not_there_is_not_made() -> None:
    assert registries.plans(spec(f"{ECR}:1"), [StoreFacts("aws", "team/llm", "eu-west-1")]) == ()
    assert registries.plans(spec("acme/llm:1"), []) == ()
