"""Which digest a deployment names: what each registry says of the tag, and what follows where they say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem, Refused
from arriero.pipeline import pinning
from arriero.pipeline.image import push, record
from arriero.plan.model import LastRelease
from arriero.spec.model import Spec

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
SPEC = Spec.model_validate(
    {
        "name": "llm",
        "image": {"name": "east.test/acme/llm:1", "registries": {"azure": "west.test/llm"}},
        "models": ["tiny", {"name": "mine", "gguf": "mine.gguf"}],
        "sites": {
            "a": {"cloud": "aws", "region": "us-east-1"},
            "b": {"cloud": "azure", "region": "eastus"},
        },
    }
)
FORMER = LastRelease(3, {}, "east.test/acme/llm:1", TWO)
SILENT = "does not answer"


def find(east: str | None, west: str | None) -> pinning.Find:
    def ask(repository: str, tag: str) -> str | None:
        assert tag == "1"
        said = east if repository.startswith("east") else west
        if said == SILENT:
            raise ArrieroError(Problem(SILENT, key=repository))
        return said

    return ask


@pytest.mark.parametrize(
    ("east", "west", "former", "name", "warning"),
    [
        (ONE, ONE, FORMER, ONE, ""),
        (ONE, SILENT, FORMER, ONE, "was not asked for at west.test/llm: does not answer"),
        (SILENT, SILENT, FORMER, TWO, "is that of release 3: east.test/acme/llm: does not answer; west"),
        ("", "", FORMER, TWO, "is that of release 3: east.test/acme/llm has no 1"),
        (None, None, FORMER, TWO, ""),
        (SILENT, SILENT, None, "", "is deployed by its tag, which can move, and its digest is not known: east"),
        (SILENT, SILENT, replace(FORMER, image="east.test/acme/llm:2"), "", "is deployed by its tag"),
        (None, None, None, "", ""),
    ],
)
def test_a_tag_becomes_the_digest_that_is_known(
    east: str | None, west: str | None, former: LastRelease | None, name: str, warning: str
) -> None:
    found = pinning.by_digest(SPEC, former, find(east, west))
    assert found.spec.image.digest == name
    assert found.warning.startswith(warning)
    assert bool(found.warning) == bool(warning)
    if name:
        assert found.spec.site("a").image == f"east.test/acme/llm@{name}"
        assert found.spec.site("b").image == f"west.test/llm@{name}"


@pytest.mark.parametrize(
    ("east", "west", "said"),
    [
        (ONE, TWO, f"different images under 1 (east.test/acme/llm: {ONE}, west.test/llm: {TWO}); bring one image to"),
        (ONE, "", "west.test/llm: nothing)"),
        ("", "", "east.test/acme/llm has no 1; west.test/llm has no 1; push it"),
    ],
)
def test_different_images_and_none_are_a_problem(east: str, west: str, said: str) -> None:
    found = pinning.by_digest(SPEC, None, find(east, west))
    assert said in str(found.problem)
    assert found.spec == SPEC


def test_a_digest_asks_nobody_and_so_does_this_machine_alone() -> None:
    pinned = SPEC.model_copy(update={"image": SPEC.image.model_copy(update={"name": f"east.test/acme/llm@{ONE}"})})
    assert pinning.by_digest(pinned, None, find(SILENT, SILENT)) == pinning.Pinned(pinned)
    local = {"here": {"cloud": "local", "hosts": ["127.0.0.1"]}}
    alone = Spec.model_validate({"name": "llm", "image": "acme/llm:1", "models": ["tiny"], "sites": local})
    assert pinning.by_digest(alone, None, find(SILENT, SILENT)) == pinning.Pinned(alone)


def test_a_rehearsal_asks_no_registry_of_others() -> None:
    assert pinning.on_this_machine("registry.example.com/acme/llm", "1") is None


def test_what_was_pushed_names_the_image_and_its_models(tmp_path: Path) -> None:
    project = Project(tmp_path / "arriero.yaml")
    with pytest.raises(Refused, match="no image was pushed from here"):
        pinning.pushed(project, SPEC)
    places = ("east.test/acme/llm", "west.test/llm")
    made = record.Pushed(ONE, TWO, places, ("git-1",), {"tiny:latest": TWO})
    record.write(push.pushed_of(project), made)
    assert record.read_pushed(push.pushed_of(project)) == made
    spec = pinning.pushed(project, SPEC)
    assert spec.image.name == f"east.test/acme/llm@{ONE}"
    assert {model.name: model.digest for model in spec.models} == {"tiny:latest": TWO, "mine:latest": None}
    record.write(push.pushed_of(project), replace(made, repositories=places[:1]))
    with pytest.raises(Refused, match="was not pushed to west"):
        pinning.pushed(project, SPEC)
