"""The generated Jenkinsfile, run step by step: its `up`, `validate` and `rollback` are real ones, against the stage.

What needs a container engine, `image` and the image's half of `test`, is played by a pretender here: test_image.py and
test_image_trial.py have the real ones. The tests go on from one another, in their order, on one stage.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
from places import Place, open_place, wait_for

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "pipeline" / "jenkins"), str(TESTS / "pipeline" / "notify")]
import jenkins  # noqa: E402 - the runner and the receiver live with the tests of their own
from jenkins import Jenkins  # noqa: E402
from projects import exported, pretending  # noqa: E402
from receiver import Receiver, receiving  # noqa: E402

pytestmark = [pytest.mark.wide, pytest.mark.timeout(600), pytest.mark.long]

SPEC = """name: llm
image: registry.example.com/acme/llm
models: [llama2]
scale: {min: 1, by: hand}
sites:
  aws-east: {cloud: aws, region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
pipeline: {slack: '#releases', approvers: [alice]}
"""
NEXT = "ollama: {num_parallel: 8}\n"
UNANSWERABLE = "validation: {prompts: [{prompt: Hello, matches: never said by anybody}]}\n"
# What is real but for what needs an engine; Azure is made to refuse for a while where a file asks for it.
WRAPPER = """#!/bin/sh
case "$1" in image|test) exec "$PRETEND/pretender" "$@" ;; esac
case "$*" in
  "up "*azure-east)
    [ ! -e "$PRETEND/refuse-azure" ] ||
      "$PYTHON" -m arriero rehearse fault --site azure-east --kind refuse --for 45
    ;;
esac
exec "$PYTHON" -m arriero "$@"
"""


@dataclass
class Line:
    """One service with its Jenkins."""

    place: Place
    jenkins: Jenkins
    pretend: Path
    slack: Receiver

    def spec(self, *more: str) -> None:
        exported(self.place.folder, SPEC + "".join(more))

    def standing(self) -> dict[str, tuple[str, set[int]]]:
        """The state of each site, and the releases of its targets."""
        sites = self.place.arriero("status", "--json").json["sites"]
        return {s["name"]: (s["state"], {target["release"] for target in s["targets"]}) for s in sites}

    def told(self) -> list[str]:
        found = [message["attachments"][0]["text"].partition(":")[0] for message in self.slack.heard]
        self.slack.heard.clear()
        return found


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    jenkins.needs_groovy()
    folder = tmp_path_factory.mktemp("line")
    pretend = folder / "pretend"
    environment = {**pretending(pretend), "PYTHON": sys.executable, "ARRIERO_REHEARSE": "1"}
    (pretend / "arriero").rename(pretend / "pretender")
    (pretend / "arriero").write_text(WRAPPER)
    (pretend / "arriero").chmod(0o755)
    workspace = exported(folder / "workspace", SPEC)
    (folder / "spec.txt").write_text(SPEC)
    with receiving() as slack:
        for place in open_place(workspace, folder / "spec.txt"):
            place.always["ARRIERO_REHEARSE"] = "1"
            yield Line(place, Jenkins(folder / "home", workspace, environment, slack.url), pretend, slack)


def test_a_green_build_stands_on_both_clouds_and_is_told(line: Line) -> None:
    built = line.jenkins.build()
    assert built.result == "SUCCESS", built.text
    assert line.standing() == {"aws-east": ("ready", {1}), "azure-east": ("ready", {1})}
    assert line.told() == ["llm succeeded"]
    report = line.jenkins.home / "artifacts" / "7" / "reports" / "validation.xml"
    suites = {suite.get("name"): suite for suite in ElementTree.parse(report).getroot()}
    assert set(suites) == {"aws-east", "azure-east", "gateway"}
    assert {suite.get("failures") for suite in suites.values()} == {"0"}


def test_a_failed_test_stops_before_push_and_nothing_moves(line: Line) -> None:
    line.spec(NEXT)
    (line.pretend / "fail-test").touch()
    built = line.jenkins.build()
    (line.pretend / "fail-test").unlink()
    assert built.result == "FAILURE"
    assert not [command for command in built.commands if "push" in command or " up " in command]
    assert line.standing() == {"aws-east": ("ready", {1}), "azure-east": ("ready", {1})}
    assert line.told() == ["llm failed"]


def test_a_failed_validation_puts_both_clouds_back_and_tells_slack(line: Line) -> None:
    line.spec(NEXT, UNANSWERABLE)
    built = line.jenkins.build()
    assert built.result == "FAILURE"
    assert (built.stages["AWS"], built.stages["Azure"], built.stages["Validate"]) == ("SUCCESS", "SUCCESS", "FAILURE")
    assert "does not match never said by anybody" in built.text
    assert line.standing() == {"aws-east": ("ready", {1}), "azure-east": ("ready", {1})}, built.text
    assert line.told() == ["llm stands on its stable release", "llm failed"]


def test_one_cloud_that_fails_leaves_the_other_s_result_true(line: Line) -> None:
    line.spec(NEXT)
    (line.pretend / "refuse-azure").touch()
    built = line.jenkins.build()
    (line.pretend / "refuse-azure").unlink()
    assert (built.stages["AWS"], built.stages["Azure"]) == ("SUCCESS", "FAILURE"), built.text
    assert "Validate" in built.skipped
    # Azure refuses until after the way back, and then answers again.
    back = {"aws-east": ("ready", {1}), "azure-east": ("ready", {1})}
    assert wait_for(lambda: line.standing() == back, 60), built.text
    # AWS went back. Azure could not be asked whether it has to, so nobody is told that all of it did.
    assert "sites.azure-east: not gone back: " in built.text
    assert "then run arriero rollback 1 --site azure-east" in built.text
    assert line.told() == ["llm failed"]
