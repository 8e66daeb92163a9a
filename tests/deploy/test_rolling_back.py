"""Which release a way back leads to, what keeps it from being gone, in exact words, and the plan that it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from arriero.deploy import rolling_back
from arriero.deploy.rolling_back import Return
from arriero.errors import Problem, Refused
from arriero.plan import place
from arriero.plan.model import Facts, Resource, SiteFacts
from arriero.releases.head import Head
from arriero.releases.ledger import Ledger
from arriero.releases.record import Note, Record, Release, SiteRelease, release_of, spec_json
from arriero.spec.model import Spec

SITES = {"aws-east": {"cloud": "aws", "region": "us-east-1"}, "azure-east": {"cloud": "azure", "region": "eastus"}}
FAMILY = "arn:aws:ecs:us-east-1:1:task-definition/llm-aws-east"


def spec(image: str, **more: Any) -> Spec:
    return Spec.model_validate({"name": "llm", "image": image, "models": ["llama2"], "sites": SITES, **more})


def definition(image: str, name: str) -> str:
    site = spec(image).site(name)
    return place.definition_hash(place.wanted_of(site.cloud).definition(site))


def release(number: int, image: str, failed: str = "", left: str = "") -> Release:
    """`failed` is the site where it failed, `left` one that it left as it was."""
    sites = {
        name: SiteRelease(
            name,
            "aws" if name == "aws-east" else "azure",
            "",
            "failed" if name == failed else "done",
            2,
            definition(image, name),
            f"llm-aws-east:{number}" if name == "aws-east" else "",
        )
        for name in SITES
        if name != left
    }
    at = datetime(2026, 1, number, tzinfo=UTC)
    state = "failed" if failed else "done"
    return Release(
        number, number, "llm", at, "ada", "", spec_json(spec(image)), image, "", (), {}, (), sites, (), state
    )  # type: ignore[arg-type]


@dataclass
class Books:
    found: tuple[Release, ...]
    stable: int | None = None

    def releases(self) -> tuple[Release, ...]:
        return self.found

    def head(self) -> Head:
        return Head(stable=self.stable)


NOON = "2026-01-01T12:00:00+00:00"


def ended(epoch: int, state: str) -> Note:
    site = {"site": "aws-east", "cloud": "aws", "region": "", "state": state, "targets": 1, "definition": "d"}
    sites = {"aws-east": {**site, "task_definition": "", "groups": []}}
    content = {"sites": sites, "spec": spec_json(spec("acme/llm:1")), "models": {}, "problems": []}
    return Note(1, epoch, NOON, "ada", "ended", content, str(epoch))


HISTORY = (release(1, "acme/llm:1"), release(2, "acme/llm:2", failed="azure-east"), release(3, "acme/llm:3"))
NOW = spec("acme/llm:4", gateway={"port": 9999})


def found(wanted: str, books: Books | None = None, running: int | None = 4) -> Return:
    return rolling_back.found(cast(Ledger, books or Books(HISTORY)), wanted, running, NOW)


def facts(*revisions: int, **problems: Problem) -> Facts:
    """Both sites stand; these revisions are ACTIVE."""
    arns = tuple(f"{FAMILY}:{number}" for number in revisions)
    aws = Resource("aws.task_definition", "llm-aws-east", details={"revisions": arns, "arn": f"{FAMILY}:4"})
    azure = Resource("azure.resource_group", "llm-azure-east", {"location": "eastus"})
    sites = {
        "aws-east": SiteFacts("aws-east", "aws", "us-east-1", "1", (aws,), problem=problems.get("aws")),
        "azure-east": SiteFacts("azure-east", "azure", "eastus", "2", (azure,), problem=problems.get("azure")),
    }
    return Facts("llm", sites)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [("1", 1), ("3", 3), ("stable", 1), ("", 3)],
)
def test_a_release_is_named_by_number_as_the_stable_one_or_as_the_one_before(wanted: str, number: int) -> None:
    way = found(wanted, Books(HISTORY, stable=1))
    assert way.release.number == number
    assert way.spec.image.name == f"acme/llm:{number}"
    assert way.spec.gateway.port == 9999, "where clients ask is no part of a release"


@pytest.mark.parametrize(
    ("wanted", "books", "running", "words"),
    [
        ("9", Books(HISTORY), 4, "there is no release 9; there are 1 to 3: arriero history"),
        ("0", Books(HISTORY), 4, "0 is no release; give its number, or: stable"),
        ("latest", Books(HISTORY), 4, "latest is no release; give its number, or: stable"),
        (
            "stable",
            Books(HISTORY),
            4,
            "no release is stable yet; promote one first: arriero promote N; or give a number",
        ),
        ("1", Books(()), 4, "nothing was released yet; there is nothing to go back to"),
        ("", Books(HISTORY), 1, "no release before 1 ended well; see: arriero history"),
        ("", Books(HISTORY), None, "nothing runs; see: arriero history"),
    ],
)
def test_what_never_was_is_refused_in_exact_words(wanted: str, books: Books, running: int | None, words: str) -> None:
    with pytest.raises(Refused) as caught:
        found(wanted, books, running)
    assert str(caught.value) == words


UNREAD = Problem("the region is down", "")
ANEW = "deploy what it was as a new release: arriero show has its spec"
GONE = "r.example.com has no acme/llm:3"
INACTIVE = "the task definition llm-aws-east:3 of release 3 is not ACTIVE any more"
FAILED = "release 2 failed at azure-east, so there is no way back to it; see: arriero history"


@pytest.mark.parametrize(
    ("wanted", "there", "gone", "words"),
    [
        ("3", facts(1, 3, 4), "", ""),
        ("3", facts(1, 4), "", f"sites.aws-east: {INACTIVE}; {ANEW}"),
        ("2", facts(1, 2, 3), "", f"sites.azure-east: {FAILED}"),
        ("3", facts(3, azure=UNREAD), "", ""),
        (
            "3",
            facts(3, aws=UNREAD, azure=UNREAD),
            "",
            f"sites.aws-east: {UNREAD.what}\nsites.azure-east: {UNREAD.what}",
        ),
        ("3", facts(3), GONE, f"image: the image of release 3 is gone: {GONE}; {ANEW}"),
    ],
)
def test_what_cannot_stand_again_is_refused_before_anything_is_touched(
    wanted: str, there: Facts, gone: str, words: str
) -> None:
    said = ""
    try:
        rolling_back.refuse_what_cannot_be(found(wanted), there, None, lambda _: gone)
    except Refused as refusal:
        said = str(refusal)
    assert said == words


def test_the_registry_that_each_site_pulls_from_is_asked() -> None:
    named = {"name": "one.example/llm:1", "registries": {"azure": "other.example/llm"}}
    history = (release(1, "acme/llm:1"), replace(release(2, "acme/llm:2"), spec=spec_json(spec(cast("str", named)))))
    way, asked = found("2", Books(history)), list[str]()

    def gone(image: str) -> str:
        asked.append(image)
        return GONE if image.startswith("other") else ""

    with pytest.raises(Refused) as told:
        rolling_back.refuse_what_cannot_be(way, facts(2), None, gone)
    said = f"image.registries.azure: the image of release 2 is gone: {GONE}; choose other sites with --site, or {ANEW}"
    assert str(told.value) == said
    assert asked == ["one.example/llm:1", "other.example/llm:1"]
    rolling_back.refuse_what_cannot_be(way, facts(2), ["aws-east"], gone)
    rolling_back.refuse_what_cannot_be(way, facts(2, azure=UNREAD), None, gone)


def test_a_site_that_a_release_never_was_at_is_refused_only_where_it_is_asked_for() -> None:
    one = replace(HISTORY[0], sites={"aws-east": HISTORY[0].sites["aws-east"]})
    way = found("1", Books((one,)))
    rolling_back.refuse_what_cannot_be(way, facts(1), ["aws-east"], lambda _: "")
    with pytest.raises(Refused, match="release 1 never was at azure-east; choose other sites with --site"):
        rolling_back.refuse_what_cannot_be(way, facts(1), ["azure-east"], lambda _: "")


def test_every_reason_is_told_at_once() -> None:
    with pytest.raises(Refused) as caught:
        rolling_back.refuse_what_cannot_be(found("2"), facts(1), None, lambda _: "it is gone")
    assert len(caught.value.problems) == 3


def test_a_site_that_the_release_left_as_it_was_goes_back_to_what_stood_there_then() -> None:
    history = (release(1, "acme/llm:1"), release(2, "acme/llm:2", left="azure-east"))
    way = found("2", Books(history))
    assert {name: number for name, (number, _) in way.stood.items()} == {"aws-east": 2, "azure-east": 1}


def test_the_plan_names_the_former_revision_and_the_former_groups() -> None:
    plan = found("3").plan(facts(1, 3, 4), None)
    aws, azure = plan.sites
    assert (plan.release, aws.revision, aws.release) == (3, "llm-aws-east:3", 3)
    names = {resource.name for resource in azure.wanted if resource.kind == "azure.container_group"}
    assert names == {"llm-azure-east-r3-1", "llm-azure-east-r3-2"}


def test_a_site_that_cannot_be_read_is_left_with_the_way_to_go_back_at_it_later() -> None:
    aws, azure = found("3").plan(facts(1, 3, 4, azure=UNREAD), None).sites
    assert (aws.problem, azure.steps) == (None, ())
    assert str(azure.problem) == "not gone back: the region is down; then run arriero rollback 3 --site azure-east"


def test_a_way_back_that_failed_somewhere_can_be_tried_again() -> None:
    """Only that the release never stood there would keep it from being gone back to."""
    record = Record(1, 1, "llm", NOON, "ada", "", spec_json(spec("acme/llm:1")), "acme/llm:1", "", (), {}, (), "")
    notes = [ended(1, "done"), ended(2, "failed")]
    assert release_of(record, notes).sites["aws-east"].state == "done"
    assert release_of(record, notes).state == "done"
    assert release_of(record, notes[1:]).state == "failed"
