"""The Jenkinsfile's course with an arriero that only pretends: what runs, what does not, and who is told what."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jenkins
import pytest
from jenkins import ENVIRONMENT, Jenkins
from projects import exported, pretending

sys.path.insert(0, str(Path(__file__).parents[1] / "notify"))
from receiver import Receiver, receiving

pytestmark = pytest.mark.wide

IMAGE = ["image build", "test --junit reports/test.xml", "image scan --sbom reports/sbom.json", "image push --yes"]
ROLLBACK = "arriero rollback stable --yes --wait 90m"


@dataclass
class Course:
    jenkins: Jenkins
    pretend: Path
    slack: Receiver

    def fails_at(self, word: str) -> None:
        (self.pretend / f"fail-{word}").touch()

    def told(self) -> list[str]:
        return [message["attachments"][0]["text"].partition(":")[0] for message in self.slack.heard]


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    jenkins.needs_groovy()
    pretend = tmp_path / "pretend"
    environment = pretending(pretend)
    with receiving() as slack:
        yield Course(
            Jenkins(tmp_path / "home", exported(tmp_path / "workspace"), environment, slack.url), pretend, slack
        )


def test_a_green_build_goes_through_every_stage_and_shows_no_secret(course: Course) -> None:
    built = course.jenkins.build()
    assert (built.code, built.result) == (0, "SUCCESS")
    assert built.commands[:4] == [f"arriero {command}" for command in IMAGE]
    assert sorted(built.commands[4:6]) == [
        "arriero up --yes --pushed --no-gateway --wait 90m --site aws-east",
        "arriero up --yes --pushed --no-gateway --wait 90m --site azure-east",
    ]
    assert built.commands[6:] == [
        "arriero validate --junit reports/validation.xml --save reports/validation.json",
        "arriero promote --yes",
    ]
    assert "key ****" in built.text
    assert not [value for name, value in ENVIRONMENT.items() if "SECRET" in name and value in built.text]
    assert course.told() == ["llm succeeded"]
    assert {"reports/validate.json", "reports/test.json"} <= course.jenkins.artifacts
    assert not list(course.jenkins.home.glob("secretFiles/*")), "files of secrets are gone"


def test_each_stage_gets_the_logins_it_needs_and_no_others(course: Course) -> None:
    lines = [line for line in course.jenkins.build().log if "pretend: " in line]
    aws = next(line for line in lines if "up" in line and "aws-east" in line)
    azure = next(line for line in lines if "up" in line and "azure-east" in line)
    test = next(line for line in lines if "pretend: test" in line)
    assert "key ****" in aws
    assert "azure none" in aws
    assert "key ," in azure
    assert "azure ****" in azure
    assert "key ," in test
    assert "azure none" in test


def test_a_failed_test_stops_before_push(course: Course) -> None:
    course.fails_at("test")
    built = course.jenkins.build()
    assert (built.code, built.result) == (1, "FAILURE")
    assert built.commands == [f"arriero {command}" for command in IMAGE[:2]]
    assert {"Scan", "Push", "Approve", "Release", "Deploy", "AWS", "Azure", "Validate"} <= set(built.skipped)
    assert course.told() == ["llm failed"]


def test_a_failed_validation_is_rolled_back_once_and_told(course: Course) -> None:
    course.fails_at("validate")
    built = course.jenkins.build()
    assert built.result == "FAILURE"
    assert built.stages["AWS"] == built.stages["Azure"] == built.stages["Deploy"] == "SUCCESS"
    assert built.stages["Validate"] == "FAILURE"
    assert built.commands.count(ROLLBACK) == 1
    assert course.told() == ["llm stands on its stable release", "llm failed"]


def test_one_cloud_that_fails_leaves_the_other_s_result_as_it_is(course: Course) -> None:
    course.fails_at("aws-east")
    built = course.jenkins.build()
    assert (built.stages["AWS"], built.stages["Azure"], built.stages["Deploy"]) == ("FAILURE", "SUCCESS", "FAILURE")
    assert "Validate" in built.skipped
    assert built.commands.count(ROLLBACK) == 1


def test_a_rollback_that_fails_is_not_told_as_one_that_did_not(course: Course) -> None:
    course.fails_at("validate")
    course.fails_at("rollback")
    built = course.jenkins.build()
    assert "Error when executing unsuccessful post condition" in built.text
    assert course.told() == ["llm failed"]


def test_an_aborted_deployment_is_rolled_back_too(course: Course) -> None:
    (course.pretend / "slow-azure-east").touch()
    built = course.jenkins.build(abortWhen="waiting")
    assert built.result == "ABORTED"
    assert built.stages["Azure"] == "ABORTED"
    assert built.commands.count(ROLLBACK) == 1
    assert course.told() == ["llm stands on its stable release", "llm was stopped"]


def test_a_deployment_that_takes_too_long_is_stopped_and_rolled_back(course: Course) -> None:
    (course.pretend / "slow-azure-east").touch()
    built = course.jenkins.build(minuteMilliseconds=20)
    assert "Cancelling nested steps due to timeout" in built.text
    assert built.stages["AWS"] == "SUCCESS"
    assert built.stages["Deploy"] == "ABORTED"
    assert built.commands.count(ROLLBACK) == 1


@pytest.mark.parametrize(
    ("answer", "result"),
    [({"answer": "no", "by": "alice"}, "ABORTED"), ({"answer": "yes", "by": "mallory"}, "FAILURE")],
)
def test_nothing_is_deployed_without_the_yes_of_who_may_say_it(
    course: Course, answer: dict[str, str], result: str
) -> None:
    built = course.jenkins.build(input=answer)
    assert built.result == result
    assert built.commands == [f"arriero {command}" for command in IMAGE]


def test_a_build_that_is_not_to_be_released_ends_after_the_scan(course: Course) -> None:
    built = course.jenkins.build(parameters={"RELEASE": False})
    assert built.result == "SUCCESS"
    assert built.commands == [f"arriero {command}" for command in IMAGE[:3]]
    assert {"Push", "Approve", "Release"} <= {name for name, how in built.stages.items() if how == "SKIPPED"}


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("        stage('Image') {\n            agent {\n                label 'arriero'\n            }\n",
         "        stage('Image') {\n", "needs an agent"),
        ("label 'arriero'", "label 'windows'", "there are no nodes with the label 'windows'"),
        ("credentialsId: 'llm-docker'", "credentialsId: 'other'", "Could not find credentials entry with ID 'other'"),
        ("zip(", "string(", "where 'string' was expected"),
        ("stash(name: 'image'", "stash(name: 'images'", "No such saved stash 'image'"),
    ],
)  # fmt: skip
def test_what_only_a_run_can_find_fails_it(course: Course, before: str, after: str, why: str) -> None:
    file = course.jenkins.workspace / "Jenkinsfile"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
    built = course.jenkins.build()
    assert built.result == "FAILURE"
    assert why in built.text


def test_a_push_starts_a_build_only_if_it_is_signed_and_ours(course: Course) -> None:
    with course.jenkins.serving(1) as url:
        assert _push(url, "refs/heads/main", "guessed") == 403
        assert _push(url, "refs/heads/main", None) == 403
        assert _push(url, "refs/heads/other", ENVIRONMENT["GITHUB_WEBHOOK_SECRET"]) == 200
        assert _push(url, "refs/heads/main", ENVIRONMENT["GITHUB_WEBHOOK_SECRET"]) == 200
    assert course.jenkins.last().result == "SUCCESS"
    assert course.told() == ["llm succeeded"], "one build, of the one push"


def test_the_jenkinsfile_is_clean_to_npm_groovy_lint(tmp_path: Path) -> None:
    if not jenkins.LINTER.exists():
        pytest.skip("needs npm-groovy-lint, which .ci/run installs")
    assert jenkins.lint(exported(tmp_path / "workspace")) == []


def _push(url: str, ref: str, secret: str | None) -> int:
    body = {"ref": ref, "after": "f" * 40, "repository": {"clone_url": "https://github.com/acme/llm.git"}}
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "X-GitHub-Event": "push"}
    if secret:
        headers["X-Hub-Signature-256"] = "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
