"""The generated Jenkinsfile with nothing pretended: its image is built, tried, scanned and pushed on a real engine, and
deployed to the stage, by the very `sh` steps that it has. Other endings of a build are in test_jenkins.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import workshop
from image_line import MORE, Line
from shop import Shop

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "pipeline" / "jenkins"), str(TESTS / "pipeline" / "notify")]
import jenkins  # noqa: E402 - the runner and the receiver live with the tests of their own
from jenkins import Jenkins  # noqa: E402
from projects import exported  # noqa: E402
from receiver import Receiver, receiving  # noqa: E402

pytestmark = [
    pytest.mark.wide,
    pytest.mark.long,
    pytest.mark.timeout(900, func_only=True),
    pytest.mark.skipif(bool(workshop.missing()), reason=workshop.missing()),
]

PIPELINE = "pipeline: {slack: '#releases', approvers: [alice]}\n"
UNANSWERABLE = MORE.replace("prompt: hello,", "prompt: hello, matches: never said by anybody,")
# The engine of these tests has no network but the host's, and no Trivy was at hand: that is all that is added. Where a
# file asks for it, Azure's targets stand still when they are to be validated.
WRAPPER = """#!/bin/sh
case "$1 $2" in
  "image build" | "test "*) set -- "$@" --network host ;;
  "image scan") for absent in $ABSENT; do set -- "$@" --without "$absent"; done ;;
  "validate "*)
    [ ! -e freeze ] || "$PYTHON" -m arriero rehearse fault --site west --kind freeze --for 60
    ;;
esac
exec "$PYTHON" -m arriero "$@"
"""


@dataclass
class Whole:
    """One service with its Jenkins and its stage."""

    line: Line
    jenkins: Jenkins
    slack: Receiver

    def commit(self, more: str, slots: int = 4) -> str:
        """Writes the spec and the pipeline made from it; gives the tag of the commit."""
        shop = self.line.shop
        shop.write(slots, more=more + PIPELINE)
        exported(shop.folder, (shop.folder / "arriero.yaml").read_text())
        git = ["git", "-C", str(shop.folder), "-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        for words in (["add", "arriero.yaml", "Jenkinsfile", "jenkins"], ["commit", "--quiet", "-m", "Change"]):
            subprocess.run([*git, *words], check=True)
        said = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
        return f"git-{said[:12]}"

    def told(self) -> list[str]:
        found = [message["attachments"][0]["text"].partition(":")[0] for message in self.slack.heard]
        self.slack.heard.clear()
        return found


@pytest.fixture(scope="module")
def whole(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    jenkins.needs_groovy()
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(
        shop.folder, folder / "workspace", copy_function=os.link, ignore=shutil.ignore_patterns(".arriero", "*.yaml")
    )
    (folder / "arriero").write_text(WRAPPER)
    (folder / "arriero").chmod(0o755)
    subprocess.run(["git", "init", "--quiet", str(folder / "workspace")], check=True)
    line = Line(replace(shop, folder=folder / "workspace", name="whole"), folder / "models")
    line.models.mkdir()
    absent = " ".join(name for name in ("trivy", "syft") if not shutil.which(name))
    environment = {**line.environment, "PYTHON": sys.executable, "ABSENT": absent}
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    with receiving() as slack:
        yield Whole(line, Jenkins(folder / "home", folder / "workspace", environment, slack.url), slack)
    line.arriero("rehearse", "stop")


def test_a_push_of_git_ends_as_one_digest_at_both_clouds(whole: Whole) -> None:
    tag = whole.commit(MORE)
    # Built once before, so that the stage's targets have the models; the pipeline builds it again by itself.
    whole.line.json("image", "build", "--network", "host")
    whole.line.take_models()
    built = whole.jenkins.build()
    assert built.result == "SUCCESS", built.text
    assert set(built.stages.values()) == {"SUCCESS"}
    release = whole.line.json("show", "1")
    assert whole.line.images() == whole.line.images_of(release["digest"])
    for name in (tag, "r1", "stable-v1", "stable"):
        assert whole.line.names(name) == {release["digest"]}
    assert whole.line.json("history")["releases"][-1]["stable"] is True
    assert {"reports/test.xml", "reports/validation.xml"} <= whole.jenkins.artifacts
    assert ("reports/sbom.json" in whole.jenkins.artifacts) == bool(shutil.which("syft"))
    assert whole.told() == ["llm succeeded"]


def test_an_image_that_does_not_answer_as_it_should_is_never_pushed(whole: Whole) -> None:
    before = whole.line.images()
    tag = whole.commit(UNANSWERABLE)
    built = whole.jenkins.build()
    assert (built.result, built.stages["Test"]) == ("FAILURE", "FAILURE")
    assert "does not match never said by anybody" in built.text
    assert {"Scan", "Push", "Release"} <= set(built.skipped)
    with pytest.raises(OSError, match="404"):
        whole.line.names(tag)
    assert whole.line.images() == before
    assert whole.told() == ["llm failed"]


def test_what_is_no_good_at_one_cloud_goes_back_to_the_former_digest_at_both(whole: Whole) -> None:
    stable = whole.line.json("show", "1")["digest"]
    tag = whole.commit(MORE, slots=2)
    (whole.line.shop.folder / "freeze").touch()
    built = whole.jenkins.build()
    (whole.line.shop.folder / "freeze").unlink()
    assert built.result == "FAILURE"
    assert (built.stages["Deploy"], built.stages["Validate"]) == ("SUCCESS", "FAILURE"), built.text
    (digest,) = whole.line.names(tag)
    assert whole.line.names("r2") == {digest} != {stable}
    assert whole.line.images() == whole.line.images_of(stable)
    assert whole.line.names("stable") == {stable}, "what failed was not promoted"
    assert whole.told() == ["llm stands on its stable release", "llm failed"]
