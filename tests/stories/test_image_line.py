"""One release from its build to a cloud, each stage the command that a pipeline calls: a real Docker engine, a real
Ollama in the image and beside it on the stage, whose targets serve the very models that were baked.
"""

from __future__ import annotations

import json
import os
import shutil
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

from arriero.clouds.azure.connection import connect
from arriero.clouds.endpoints import Endpoints

pytestmark = [
    pytest.mark.wide,
    pytest.mark.timeout(900, func_only=True),
    pytest.mark.skipif(bool(workshop.missing()), reason=workshop.missing()),
]

MORE = """\
size: {cpu: 2 vCPU, memory: 4GiB}
scale: {min: 1}
validation: {prompts: [{prompt: hello, model: tiny}]}
"""
COMMIT = ("--revision", "feedface0123")
LATER = ("--revision", "c0ffee012345")


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

    def images(self) -> dict[str, set[str]]:
        """What the sites' containers are made from, as the clouds have it: ECS by the task definition that the service
        runs, ACI by its groups.
        """
        told = self.json("env")["environment"]
        session = boto3.Session(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
        ecs = session.client("ecs", endpoint_url=told["AWS_ENDPOINT_URL"])
        (service,) = ecs.describe_services(cluster="llm-east", services=["llm-east"])["services"]
        task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        with Endpoints("the test", told).entered():
            groups = connect().list("/providers/Microsoft.ContainerInstance/containerGroups", "2025-09-01")
        containers = [container for group in groups for container in group["properties"]["containers"]]
        return {
            "east": {container["image"] for container in task["containerDefinitions"]},
            "west": {container["properties"]["image"] for container in containers},
        }

    def images_of(self, digest: str) -> dict[str, set[str]]:
        return {"east": {f"{self.shop.east}/acme/llm@{digest}"}, "west": {f"{self.shop.west}/other/llm@{digest}"}}

    def names(self, tag: str) -> set[str]:
        """The digests that have the name at both registries."""
        return {digest_of(self.shop.east, "acme/llm", tag), digest_of(self.shop.west, "other/llm", tag)}

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

    line.arriero("image", "scan", "--without", "trivy", *([] if shutil.which("syft") else ["--without", "syft"]))
    pushed = line.json("image", "push", "--yes", *COMMIT)
    assert "has no latest; push it" in line.arriero("plan", "--site", "east", code=2).stderr
    assert "has no latest; push it" in line.arriero("up", "--yes", "--no-gateway", "--site", "east", code=1).stderr

    line.arriero("up", "--yes", "--pushed", "--no-gateway")
    release = line.json("show", "1")
    assert (release["image"], release["digest"]) == (f"{line.shop.east}/acme/llm", pushed["digest"])
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
