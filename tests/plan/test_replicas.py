"""Copies of an image in other regions: who pulls from where, what a plan says of rules and of what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from arriero.pipeline.image.push import repositories
from arriero.plan import purging, registries
from arriero.plan.model import Plan, Resource, SitePlan, Step, StoreFacts
from arriero.plan.registries import Place
from arriero.plan.wanted import aws
from arriero.spec.check_image import image_problems
from arriero.spec.model import Spec

ACCOUNT = "123456789012"
EAST = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/team/llm"
EU = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/team/llm"
DIGEST = "sha256:" + "0a" * 32
STEP = Step("eu", "register", ())
SITES = {
    "east": {"cloud": "aws", "region": "us-east-1"},
    "eu": {"cloud": "aws", "region": "eu-west-1"},
    "azure": {"cloud": "azure", "region": "eastus"},
}


def spec(sites: object = SITES, **image: object) -> Spec:
    whole = {"name": EAST, "registries": {"azure": "acme.azurecr.io/llm"}, "replicate": True, **image}
    return Spec.model_validate({"name": "llm", "image": whole, "models": ["tiny"], "sites": sites})


def test_each_site_pulls_from_its_own_region_by_the_same_digest() -> None:
    wanted = spec(name=f"{EAST}@{DIGEST}")
    assert wanted.site("east").image == f"{EAST}@{DIGEST}"
    assert wanted.site("eu").image == f"{EU}@{DIGEST}"
    assert wanted.site("azure").image == f"acme.azurecr.io/llm@{DIGEST}"


def test_without_the_key_all_pull_from_one_and_the_plan_says_so_of_the_others() -> None:
    wanted = spec(replicate=False)
    assert {wanted.site(name).image for name in ("east", "eu")} == {EAST}
    assert registries.copies(wanted) == ()
    assert aws.notes(wanted.site("east")) == ()
    [said] = aws.notes(wanted.site("eu"))
    assert said.startswith("its image is in ECR of us-east-1 alone: ")
    assert aws.notes(spec().site("eu")) == ()


def test_a_push_brings_it_to_each_region_and_last_to_the_one_that_copies() -> None:
    assert repositories(spec()) == (EU, EAST, "acme.azurecr.io/llm")
    assert repositories(spec(replicate=False)) == (EAST, "acme.azurecr.io/llm")


@pytest.mark.parametrize(
    ("sites", "regions"),
    [
        (SITES, ["eu-west-1"]),
        ({"east": SITES["east"]}, []),
        ({"eu": SITES["eu"]}, ["eu-west-1"]),
        ({"azure": SITES["azure"]}, []),
        (
            {**SITES, "b": SITES["eu"], "c": {"cloud": "aws", "region": "ap-northeast-1"}},
            ["ap-northeast-1", "eu-west-1"],
        ),
    ],
)
def test_copies_are_where_sites_are_and_the_registry_is_not(sites: object, regions: list[str]) -> None:
    assert registries.copies(spec(sites)) == tuple(Place(ACCOUNT, region, "team/llm") for region in regions)


@pytest.mark.parametrize(
    ("image", "sites", "is_right"),
    [
        ({}, SITES, True),
        ({"name": "registry.example.com/acme/llm:1"}, SITES, True),
        ({"name": "registry.example.com/acme/llm:1"}, {"east": SITES["east"]}, False),
        ({"name": "registry.example.com/acme/llm:1", "registries": {}}, SITES, False),
        ({"registries": {}}, {"azure": SITES["azure"]}, False),
    ],
)
def test_only_ecr_and_acr_bring_images_elsewhere(image: dict[str, object], sites: object, is_right: bool) -> None:
    keys = [problem.key for problem in image_problems(spec(sites, **image))]
    assert ("image.replicate" not in keys) is is_right


def acr(sku: str, *regions: str) -> StoreFacts:
    about = Resource("azure.registry", "acme.azurecr.io", {}, details={"sku": sku, "name": "acme"})
    there = Resource(registries.STANDING, "acme.azurecr.io", dict.fromkeys(regions, registries.COPIED))
    task = purging.found("llm-purge", purging.body("llm", 10))
    return StoreFacts("azure", "acme.azurecr.io", "westeurope", (about, task, *([there] if sku == "Premium" else [])))


AZURE = {"azure": SITES["azure"], "west": {"cloud": "azure", "region": "westeurope"}}


def test_a_registry_of_azure_is_to_stand_where_sites_are_and_leaves_no_region() -> None:
    [plan] = registries.plans(spec(AZURE), [acr("Premium", "westus")])
    assert [(change.action, change.kind, change.reason) for change in plan.changes] == [
        ("update", "azure.replication", "eastus: is not set, should be copied")
    ]
    assert registries.missing_regions(spec(AZURE), acr("Premium", "westus")) == ("eastus",)
    for wanted, found in (
        (spec(AZURE), acr("Premium", "eastus", "westus")),
        (spec({"west": AZURE["west"]}), acr("Premium")),
        (spec(AZURE, replicate=False), acr("Premium")),
    ):
        [plan] = registries.plans(wanted, [found])
        assert (plan.changes, plan.problem) == ((), None)


def test_a_registry_of_a_lower_tier_is_told_and_hinders_nothing() -> None:
    [plan] = registries.plans(spec(AZURE), [acr("Basic")])
    assert (plan.changes, plan.lacks) == ((), False)
    assert str(plan.problem).startswith(
        "image.replicate: acme.azurecr.io is Basic, and only Premium stands in more regions than westeurope; "
    )
    assert registries.plans(spec(AZURE, replicate=False), [acr("Basic")])[0].problem is None


def test_a_region_that_was_never_filled_is_told_and_hinders_nothing() -> None:
    found = acr("Premium", "eastus")
    standing = Resource(registries.STANDING, "acme.azurecr.io", {"eastus": "Syncing", "westus": "Syncing"})
    others = [each for each in found.resources if each.kind != registries.STANDING]
    [plan] = registries.plans(spec(AZURE), [replace(found, resources=(*others, standing))])
    assert (plan.changes, plan.lacks) == ((), False)
    assert str(plan.problem) == (
        "image.replicate: acme.azurecr.io does not hold all images yet in eastus (Syncing); "
        "those of other regions are pulled until it does: arriero plan says when"
    )


def home(*copied: str, expires: tuple[str, ...] = ()) -> StoreFacts:
    rules = registries.rules(registries.policy(10))
    there = Resource("aws.repository", "team/llm", {"expires": expires or rules})
    rule = Resource(registries.REPLICATION, "team/llm", dict.fromkeys(copied, registries.COPIED), details={"own": ()})
    return StoreFacts("aws", "team/llm", "us-east-1", (there, rule))


def copy(holds: bool = True, expires: tuple[str, ...] = ()) -> StoreFacts:
    rules = registries.rules(registries.policy(10))
    there = Resource("aws.repository", "team/llm", {"expires": expires or rules}, details={"holds": holds})
    return StoreFacts("aws", "team/llm", "eu-west-1", (there,))


def changes(*found: StoreFacts) -> list[tuple[str, str, str]]:
    plans = registries.plans(spec(), found)
    return [(plan.region, change.action, change.kind) for plan in plans for change in plan.changes]


def test_a_rule_that_is_not_there_is_planned_and_others_regions_are_left_alone() -> None:
    assert changes(home(), copy()) == [("us-east-1", "update", "aws.replication")]
    (plan, _) = registries.plans(spec(), [home("us-west-2"), copy()])
    assert plan.changes[0].reason == "eu-west-1: is not set, should be copied"
    assert changes(home("eu-west-1", "us-west-2"), copy()) == []


def test_each_regions_repository_lets_go_by_the_same_rules() -> None:
    assert changes(home("eu-west-1"), copy(expires=("v*: imageCountMoreThan 3",))) == [
        ("eu-west-1", "update", "aws.repository")
    ]


def test_what_was_pushed_before_is_told_with_the_way_to_bring_it_there() -> None:
    _, plan = registries.plans(spec(name=f"{EAST}@{DIGEST}"), [home("eu-west-1"), copy(holds=False)])
    assert plan.lacks
    assert str(plan.problem) == (
        f"image.replicate: ECR of eu-west-1 has no team/llm {DIGEST}: what was pushed before is not copied; "
        "push it there, too: arriero image push"
    )


def test_a_repository_is_missed_only_where_the_first_one_stands() -> None:
    missing = StoreFacts("aws", "team/llm", "eu-west-1")
    _, plan = registries.plans(spec(), [home("eu-west-1"), missing])
    assert plan.problem
    assert "aws ecr create-repository --region eu-west-1 --repository-name team/llm" in plan.problem.remedy
    assert registries.plans(spec(), [StoreFacts("aws", "team/llm", "us-east-1"), missing]) == ()


@pytest.mark.parametrize(
    ("site", "region", "is_obstacle"),
    [
        (SitePlan("eu", "aws", 2, 1, (), (STEP,), region="eu-west-1"), "eu-west-1", True),
        (SitePlan("eu", "aws", 2, 1, (), (), region="eu-west-1"), "eu-west-1", False),
        (SitePlan("eu", "aws", 2, 1, (), (STEP,), region="eu-west-1"), "us-east-1", False),
        (SitePlan("eu", "aws", 2, 0, (), (STEP,), region="eu-west-1", is_leaving=True), "eu-west-1", False),
    ],
)
def test_nothing_is_deployed_where_the_image_is_not(site: SitePlan, region: str, is_obstacle: bool) -> None:
    _, lacking = registries.plans(spec(), [home(), copy(holds=False)])
    found = registries.obstacles(Plan("llm", 2, (site,), registries=(replace(lacking, region=region),)))
    assert bool(found) is is_obstacle
