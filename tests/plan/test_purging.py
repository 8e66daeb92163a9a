"""What a registry of Azure lets go: the task that is wished for, and what its commands leave of a repository."""

from __future__ import annotations

import base64
import re
import shlex
from dataclasses import dataclass

import pytest
from ruamel.yaml import YAML

from arriero.plan import purging, registries
from arriero.plan.model import Resource, StoreFacts
from arriero.plan.purging import Place
from arriero.spec.model import Spec

SITES = {"a": {"cloud": "aws", "region": "us-east-1"}, "b": {"cloud": "azure", "region": "eastus"}}
ACR = "acme.azurecr.io/team/llm"


def spec(image: object, sites: object = SITES) -> Spec:
    return Spec.model_validate({"name": "llm", "image": image, "models": ["tiny"], "sites": sites})


@pytest.mark.parametrize(
    ("image", "place"),
    [
        (f"{ACR}:1", Place("acme.azurecr.io", "team/llm", "llm-purge")),
        (
            {"name": "acme/llm:1", "registries": {"azure": "acme-x1y2.azurecr.cn/llm"}},
            Place("acme-x1y2.azurecr.cn", "llm", "llm-purge"),
        ),
        ({"name": f"{ACR}:1", "registries": {"azure": "acme/llm"}}, None),
        ("azurecr.io/llm:1", None),
    ],
)
def test_a_registry_of_azure_is_known_by_its_name(image: object, place: Place | None) -> None:
    assert purging.place(spec(image)) == place


def test_a_site_at_aws_alone_pulls_from_no_acr() -> None:
    assert purging.place(spec(f"{ACR}:1", {"a": SITES["a"]})) is None


def found(properties: dict[str, object] | None) -> StoreFacts:
    resources = [Resource("azure.registry", "acme.azurecr.io", {})]
    resources += [purging.found("llm-purge", properties)] if properties is not None else []
    return StoreFacts("azure", "acme.azurecr.io", "eastus", tuple(resources))


def told(**changes: object) -> dict[str, object]:
    return {**purging.body("team/llm", 10), **changes}


def test_the_task_has_time_for_all_its_steps() -> None:
    steps = YAML(typ="safe").load(purging.text("team/llm", 10))["steps"]
    assert purging.body("team/llm", 10)["timeout"] == sum(step["timeout"] for step in steps) <= 28800


NOT_YAML = {"type": "EncodedTask", "encodedTaskContent": base64.b64encode(b"steps: [").decode()}
OTHER = {"type": "EncodedTask", "encodedTaskContent": base64.b64encode(b"steps: [{cmd: acr purge}]").decode()}


@pytest.mark.parametrize(
    ("task", "action", "reason"),
    [
        (told(), None, ""),
        (None, "create", "it is not there"),
        (told(status="Disabled"), "update", "status: is Disabled, should be Enabled"),
        (told(step=OTHER), "update", "runs: is [acr purge], should be [acr purge --filter"),
        (told(step=NOT_YAML), "update", "runs: is [], should be"),
        (told(step={"type": "Docker", "imageNames": ["x"]}), "update", "runs: is [], should be"),
        (told(step={"encodedTaskContent": "no base64"}), "update", "runs: is [], should be"),
        (
            told(trigger={"timerTriggers": [{"schedule": purging.SCHEDULE, "status": "Disabled"}]}),
            "update",
            "schedule: is [], should be [17 3 * * *]",
        ),
        (told(trigger=None), "update", "schedule: is []"),
    ],
)
def test_a_plan_tells_what_the_task_is_and_should_be(
    task: dict[str, object] | None, action: str | None, reason: str
) -> None:
    (plan,) = registries.plans(spec(f"{ACR}:1"), [found(task)])
    assert [change.action for change in plan.changes] == ([action] if action else [])
    assert all(reason in change.reason for change in plan.changes)


def test_a_registry_that_is_not_there_is_not_made() -> None:
    assert registries.plans(spec(f"{ACR}:1"), [StoreFacts("azure", "acme.azurecr.io", "")]) == ()


@dataclass
class Tag:
    name: str
    digest: str
    days: float


def purged(tags: list[Tag], keep: int, path: str = "team/llm", repository: str = "team/llm") -> dict[str, str]:
    """What is left, digest by tag, when all steps of the task have run, by the documented meaning of their options."""
    left = sorted(tags, key=lambda tag: tag.days)
    for step in YAML(typ="safe").load(purging.text(path, keep))["steps"]:
        words = shlex.split(step["cmd"])
        options = dict(zip(words[2::2], words[3::2], strict=False))
        where, _, which = options["--filter"].partition(":")
        if not re.fullmatch(where, repository):
            continue
        days = float(options["--ago"].removesuffix("d"))
        old = [tag for tag in left if re.search(which, tag.name) and tag.days >= days]
        left = [tag for tag in left if tag not in old[int(options["--keep"]) :]]
    return {tag.name: tag.digest for tag in left}


def test_every_digest_of_the_newest_releases_stays_and_so_does_what_was_stable() -> None:
    tags = [Tag(f"r{n}", f"d{n}", 200 - n) for n in range(1, 13)]
    tags += [Tag(f"git-{n:012x}", f"d{n}", 200 - n) for n in range(1, 13)]
    tags += [Tag("stable-v1", "d2", 190), Tag("stable", "d11", 180)]
    left = purged(tags, 3)
    assert {name for name in left if name.startswith("r")} == {"r10", "r11", "r12"}
    assert {"d10", "d11", "d12", "d2"} == set(left.values()), "d2 lives on as what was stable once"
    assert {name for name in left if name.startswith("git-")} == {
        "git-00000000000a",
        "git-00000000000b",
        "git-00000000000c",
    }


def test_commits_of_a_month_stay_however_many_they_are() -> None:
    tags = [Tag(f"git-{n:012x}", f"d{n}", n) for n in range(60)]
    assert len(purged(tags, 3)) == 30 + 3


def test_the_dots_of_a_repository_stand_for_themselves() -> None:
    tags = [Tag(f"r{n}", f"d{n}", n) for n in range(9)]
    assert len(purged(tags, 2, path="a.b/llm", repository="a.b/llm")) == 2
    assert len(purged(tags, 2, path="a.b/llm", repository="a-b/llm")) == 9


def test_each_variant_keeps_as_many_releases() -> None:
    tags = [Tag(f"{head}r{n}", f"{head}d{n}", 200 - n) for n in range(1, 9) for head in ("", "cuda-")]
    tags += [Tag("cuda-stable-v1", "cuda-d1", 190), Tag("cuda-git-00", "old", 99), Tag("release", "x", 300)]
    left = purged(tags, 2)
    assert set(left) == {"r7", "r8", "cuda-r7", "cuda-r8", "cuda-stable-v1", "cuda-git-00", "release"}
