"""One release from its build to a cloud, each stage the command that a pipeline calls: a real Docker engine, a real
Ollama in the image and beside it on the stage, whose targets serve the very models that were baked.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
import workshop
from image_line import MORE, Line
from shop import Shop

pytestmark = [
    pytest.mark.wide,
    pytest.mark.timeout(900, func_only=True),
    pytest.mark.skipif(bool(workshop.missing()), reason=workshop.missing()),
]

COMMIT = ("--revision", "feedface0123")
LATER = ("--revision", "c0ffee012345")


@pytest.fixture(scope="module")
def line(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    found = Line(replace(shop, name="line"), tmp_path_factory.mktemp("baked"))
    found.shop.write(more=MORE)
    yield found
    found.arriero("rehearse", "stop")


def checks(report: dict[str, Any], place: str) -> dict[str, str]:
    return {row["check"]: row["verdict"] for row in report["findings"] if row["place"] == place}


def test_what_was_built_is_tested_scanned_pushed_deployed_and_found_good(line: Line) -> None:
    built = line.json("image", "build", "--network", "host", *COMMIT)
    line.take_models()

    tried = line.json("test", "--network", "host", "--junit", "reports/test.xml")
    expected = ["starts", "user", "API", "models", "tiny:latest: hello", "metrics", "drain"]
    assert checks(tried, "image") == dict.fromkeys(expected, "passed")
    suites = ElementTree.parse(line.shop.folder / "reports/test.xml").getroot()
    assert {suite.get("failures") for suite in suites} == {"0"}

    line.arriero("image", "scan", "--without", "trivy", *([] if shutil.which("syft") else ["--without", "syft"]))
    pushed = line.json("image", "push", "--yes", *COMMIT)
    assert "has no latest; push it" in line.arriero("plan", "--site", "east", code=2).stderr
    assert "has no latest; push it" in line.arriero("up", "--yes", "--no-gateway", "--site", "east", code=1).stderr

    line.arriero("up", "--yes", "--pushed", "--no-gateway")
    release = line.json("show", "1")
    assert (release["image"], release["digest"]) == (line.east, pushed["digest"])
    models = {model["name"]: model["digest"] for model in built["models"]}
    assert {model["name"]: model["digest"] for model in release["spec"]["models"]} == models
    if shutil.which("syft"):
        line.arriero("show", "1", "--sbom", "of-release-1.json")
        parts = json.loads((line.shop.folder / "of-release-1.json").read_text())["components"]
        assert "uvloop" in {part["name"] for part in parts}
    assert line.images() == line.images_of(pushed["digest"])
    assert line.names("r1") == {pushed["digest"]}, "a registry that keeps the newest releases knows it by that name"
    assert line.json("plan")["changes"] == 0, "the release's digest stands for the name"

    found = line.json("validate", "--site", "east")
    assert found["verdict"] == "good"
    assert checks(found, "east")["models"] == "passed"

    promoted = line.json("promote", "--yes")
    assert (promoted["stable"], promoted["notes"]) == (1, [])
    assert line.names(promoted["tag"]) == line.names("stable") == {pushed["digest"]}
    assert line.json("promote", "--yes")["tag"] == promoted["tag"], "a second promotion gives no second name"


def test_a_changed_setting_is_a_release_of_its_own_and_the_way_back_names_the_former_digest(line: Line) -> None:
    first = line.json("show", "1")["digest"]
    line.shop.write(slots=2, more=MORE)
    built = line.json("image", "build", "--network", "host", *LATER)
    pushed = line.json("image", "push", "--yes", *LATER)
    assert pushed["digest"] != first
    line.arriero("up", "--yes", "--pushed", "--no-gateway")
    second = line.json("show", "2")
    assert (second["digest"], second["spec"]["image"]["name"].partition("@")[2]) == (pushed["digest"],) * 2
    assert line.images() == line.images_of(pushed["digest"])
    assert (line.names("r2"), line.names("r1")) == ({pushed["digest"]}, {first})
    assert {model["name"]: model["digest"] for model in built["models"]} == {
        model["name"]: model["digest"] for model in line.json("show", "1")["spec"]["models"]
    }, "no model was built anew for it"
    assert line.json("validate", "--site", "east")["verdict"] == "good"

    line.arriero("rollback", "1", "--yes")
    assert line.images() == line.images_of(first)
    assert (line.names("r2"), line.names("r1")) == ({pushed["digest"]}, {first}), "no name moves on the way back"
    assert "Nothing to do: release 1 runs." in line.arriero("rollback", "1", "--yes").stdout


def test_an_image_that_needs_root_does_not_even_start(line: Line) -> None:
    folder = line.shop.folder.parent / "rooted"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM arriero/llm:built\nUSER 0\n")
    line.shop.made.docker("build", "--tag", "rooted", str(folder))
    tried = line.json("test", "--network", "host", "--image", "rooted", code=3)
    assert checks(tried, "image") == {"starts": "failed"}


@pytest.mark.parametrize(
    "words", [("test", "--network", "host"), ("validate", "--site", "east")], ids=["test", "validate"]
)
def test_a_stopped_command_leaves_nothing_of_its_own_behind(line: Line, words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "arriero", *words]
    with subprocess.Popen(command, cwd=line.shop.folder, env=line.environment, stdout=subprocess.DEVNULL) as process:
        workshop.wait_for(lambda: bool(line.running()))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130
    assert not line.running()
