"""One release from its build to a cloud, each stage the command that a pipeline calls: a real Docker engine, a real
Ollama in the image and beside it on the stage, whose targets serve the very models that were baked.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import boto3
import pytest
import workshop
from shop import Shop
from workshop import digest_of

pytestmark = [
    pytest.mark.wide,
    pytest.mark.timeout(600, func_only=True),
    pytest.mark.skipif(bool(workshop.missing()), reason=workshop.missing()),
]

MORE = """\
size: {cpu: 2 vCPU, memory: 4GiB}
scale: {min: 1}
validation: {prompts: [{prompt: hello, model: tiny}]}
"""
COMMIT = ("--revision", "feedface0123")


class Line:
    """The shop's project, rehearsed: its targets' Ollama has the models of the image that was built."""

    def __init__(self, shop: Shop, models: Path) -> None:
        self.shop, self.models = shop, models

    @property
    def environment(self) -> dict[str, str]:
        own = {"ARRIERO_REHEARSE": "1", "ARRIERO_STAGE_MODELS": str(self.models)}
        return {**os.environ, **self.shop.made.environment, **own, "ARRIERO_OLLAMA": str(workshop.ollama())}

    def running(self) -> list[str]:
        """Containers of a trial, and the gateway of a validation."""
        containers = self.shop.made.docker("ps", "--all", "--quiet").split()
        return [*containers, *map(str, (self.shop.folder / ".arriero/edge").glob("edge.json"))]

    def arriero(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "arriero", *words],
            cwd=self.shop.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr[-3000:]
        return ended

    def images(self, family: str) -> set[str]:
        """What the containers of a task definition are made from, as ECS has it."""
        told = self.json("env")["environment"]
        session = boto3.Session(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
        ecs = session.client("ecs", endpoint_url=told["AWS_ENDPOINT_URL"])
        found = ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
        return {container["image"] for container in found["containerDefinitions"]}

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.arriero(*words, "--json", code=code).stdout)


@pytest.fixture(scope="module")
def line(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    shop.write(more=MORE)
    found = Line(shop, tmp_path_factory.mktemp("baked"))
    yield found
    found.arriero("rehearse", "stop")


def checks(report: dict[str, Any], place: str) -> dict[str, str]:
    return {row["check"]: row["verdict"] for row in report["findings"] if row["place"] == place}


def test_what_was_built_is_tested_scanned_pushed_deployed_and_found_good(line: Line) -> None:
    built = line.json("image", "build", "--network", "host", *COMMIT)
    container = line.shop.made.docker("create", "arriero/llm:built")
    line.shop.made.docker("cp", f"{container}:/models/.", str(line.models))
    line.shop.made.docker("rm", "--volumes", container)

    tried = line.json("test", "--network", "host", "--junit", "reports/test.xml")
    expected = ["starts", "user", "API", "models", "tiny:latest: hello", "metrics", "drain"]
    assert checks(tried, "image") == dict.fromkeys(expected, "passed")
    suites = ElementTree.parse(line.shop.folder / "reports/test.xml").getroot()
    assert {suite.get("failures") for suite in suites} == {"0"}

    line.arriero("image", "scan", "--without", "trivy", "--without", "syft")
    pushed = line.json("image", "push", "--yes", *COMMIT)
    assert "has no latest; push it" in line.arriero("plan", "--site", "east", code=2).stderr
    assert "has no latest; push it" in line.arriero("up", "--yes", "--no-gateway", "--site", "east", code=1).stderr

    line.arriero("up", "--yes", "--pushed", "--no-gateway", "--site", "east")
    release = line.json("show", "1")
    assert (release["image"], release["digest"]) == (f"{line.shop.east}/acme/llm", pushed["digest"])
    models = {model["name"]: model["digest"] for model in built["models"]}
    assert {model["name"]: model["digest"] for model in release["spec"]["models"]} == models
    assert line.images("llm-east") == {f"{line.shop.east}/acme/llm@{pushed['digest']}"}
    assert line.json("plan", "--site", "east")["changes"] == 0, "the release's digest stands for the name"

    found = line.json("validate", "--site", "east")
    assert found["verdict"] == "good"
    assert checks(found, "east")["models"] == "passed"

    promoted = line.json("promote", "--yes")
    assert (promoted["stable"], promoted["notes"]) == (1, [])
    for address, repository in ((line.shop.east, "acme/llm"), (line.shop.west, "other/llm")):
        assert {digest_of(address, repository, tag) for tag in (promoted["tag"], "stable")} == {pushed["digest"]}
    assert line.json("promote", "--yes")["tag"] == promoted["tag"], "a second promotion gives no second name"


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
