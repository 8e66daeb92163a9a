"""What a site's storage is to keep, from the ledger and from what stands; and when nobody may say that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from arriero.deploy import cleaning
from arriero.deploy.cleaning import Report
from arriero.errors import Problem, Refused
from arriero.plan.model import Facts, Resource, SiteFacts, TargetFacts
from arriero.releases.head import Head, Open
from arriero.releases.ledger import Ledger
from arriero.releases.opening import Opened
from arriero.releases.record import Release, SiteRelease, spec_json
from arriero.spec.model import Spec


class Books(Ledger):
    """A ledger that has these releases."""

    def __init__(self, *models: str) -> None:
        super().__init__(None)
        self._releases = tuple(release(number, name) for number, name in enumerate(models, 1))

    def releases(self, numbers: Any = None) -> tuple[Release, ...]:
        return self._releases


def spec(model: str) -> Spec:
    stored = {"name": model, "from": "storage"}
    sites = {"east": {"cloud": "aws", "region": "us-east-1"}, "office": {"cloud": "local"}}
    return Spec.model_validate({"name": "llm", "image": "acme/llm:1", "models": ["llama2", stored], "sites": sites})


def release(number: int, model: str) -> Release:
    at = datetime(2026, 1, number, tzinfo=UTC)
    stood = {"east": SiteRelease("east", "aws", "us-east-1", "done")}
    written = spec_json(spec(model))
    return Release(number, 1, "llm", at, "me", "", written, "acme/llm:1", "", (), {}, (), stood)


def standing(running: int, mark: str = "", state: Any = "ready") -> SiteFacts:
    marked = (Resource("aws.stored_models", "llm-east", {"models": mark}),) if mark else ()
    target = TargetFacts("t1", "east", state, "127.0.0.1:1", running)
    return SiteFacts("east", "aws", "us-east-1", resources=marked, targets=(target,))


BOOKS = Books("a:1", "b:1", "c:1")
OPENED = Opened(BOOKS, "aws", {}, Head(last=3), None)


def decided(found: SiteFacts, opened: Opened = OPENED, model: str = "c:1") -> set[str]:
    sites = cleaning.storing(spec(model), None)
    assert [site.name for site in sites] == ["east"]
    return set(cleaning.decided(sites, opened, Facts("llm", {"east": found}), 1)["east"].gone)


@pytest.mark.parametrize(
    ("found", "stable", "gone"),
    [
        (standing(3, "c:1"), None, {"a:1"}),
        (standing(3, "c:1"), 1, set()),
        (standing(3, "a:1"), None, set()),
        (standing(2, "b:1"), None, set()),
    ],
    ids=["the newest runs", "the first is stable", "the mark names the first", "one went back"],
)
def test_it_is_decided_from_what_stands(found: SiteFacts, stable: int | None, gone: set[str]) -> None:
    assert decided(found, replace(OPENED, head=Head(last=3, stable=stable))) == gone


@pytest.mark.parametrize(
    ("found", "head", "said"),
    [
        (standing(3, state="starting"), Head(last=3), "sites.east: no target is ready there"),
        (standing(4), Head(last=3), "sites.east: release 4 runs there, and no ledger knows what it needs"),
        (
            replace(standing(3), problem=Problem("it can't be read", "wait")),
            Head(last=3),
            "sites.east: it can't be read; wait",
        ),
        (standing(3), Head(last=3, open=Open(1, 3, "me", "now")), "the deployment of release 3 has not ended"),
    ],
    ids=["nothing serves", "a release that no ledger knows", "a site that can't be read", "a deployment is open"],
)
def test_it_is_refused_where_nobody_can_know(found: SiteFacts, head: Head, said: str) -> None:
    with pytest.raises(Refused) as refused:
        decided(found, replace(OPENED, head=head))
    assert str(refused.value).startswith(said)


def test_a_release_that_no_version_of_ours_reads_is_named() -> None:
    broken = Books("a:1", "c:1")
    broken._releases = (replace(broken._releases[0], spec={"name": 1}), *broken._releases[1:])
    with pytest.raises(Refused, match="the spec of release 1 can't be read, so nobody knows what it needs"):
        decided(standing(2), replace(OPENED, ledger=broken))


def test_a_service_without_models_from_storage_is_refused() -> None:
    with pytest.raises(Refused, match="models: no model comes from a storage there; what a former spec left"):
        cleaning.storing(spec("a:1"), ["office"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "the job's report can't be read: KeyError('models')"),
        ("it goes", "the job's report can't be read: JSONDecodeError"),
    ],
    ids=["of another version", "no JSON"],
)
def test_what_is_no_report_is_a_problem(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "east.json").write_text(text)
    found = cleaning._report("east", tmp_path)
    assert isinstance(found, Problem)
    assert said in str(found)


def test_a_report_is_read(tmp_path: Path) -> None:
    row = '{"name": "a:1", "bytes": 7, "state": "goes"}'
    (tmp_path / "east.json").write_text(
        f'{{"listed": false, "models": [{row}], "freed_bytes": 5, "strange": ["x"], "strange_count": 3}}'
    )
    found = cleaning._report("east", tmp_path)
    assert isinstance(found, Report)
    assert [model.name for model in found.going] == ["a:1"]
    assert (found.freed, found.strange, found.strange_count) == (5, ("x",), 3)
