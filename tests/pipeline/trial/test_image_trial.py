"""The image's trial, with a `docker` that only pretends: what is asked of it, and what each fault is called."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from arriero.clock import ManualClock
from arriero.errors import ArrieroError
from arriero.observe.validation.findings import Finding
from arriero.pipeline.trial import trial
from arriero.spec.model import Spec

sys.path.insert(0, str(Path(__file__).parents[2] / "observe" / "validation"))
from little_ollama import DIGEST, Behaviour, serving

SPEC = Spec.model_validate(
    {
        "name": "llm",
        "image": "acme/llm:1",
        "models": ["llama2"],
        "sites": {"a": {"cloud": "aws", "region": "us-east-1"}},
        "deploy": {"ready_within": "1s"},
    }
)
# Answers from the environment, and keeps what it was called with.
DOCKER = """#!/bin/sh
echo "$@" >> "$PRETENDED/calls"
case "$1" in
  version) echo 24 ;;
  run) echo c0ffee ;;
  port) echo "$DOCKER_ADDRESS" ;;
  top) [ "$3 $4" = "-eo pid,uid" ] && printf 'PID UID\\n7 %s\\n' "$DOCKER_USER" ;;
  inspect) printf '[{"State": {"Running": %s, "ExitCode": %s}}]' "$DOCKER_RUNNING" "$DOCKER_CODE" ;;
  logs) echo "no space left on device" ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    given = {"DOCKER_USER": "10001", "DOCKER_RUNNING": "true", "DOCKER_CODE": "0", "PRETENDED": str(tmp_path)}
    for name, value in {**given, "PATH": f"{tmp_path}:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "calls"


def tried(behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, **digests: str) -> tuple[Finding, ...]:
    with serving(behaviour) as address:
        monkeypatch.setenv("DOCKER_ADDRESS", address)
        return trial.of_image(SPEC, "sha256:built", digests, ManualClock())


def failed(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.check: finding.found for finding in findings if finding.verdict == "failed"}


def test_a_good_image_passes_and_leaves_nothing_behind(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tried(Behaviour(), monkeypatch, **{"llama2:latest": f"sha256:{DIGEST}"})
    assert failed(found) == {}
    assert [finding.check for finding in found] == [
        "starts", "user", "API", "models", "llama2:latest: says something", "metrics", "drain",
    ]  # fmt: skip
    calls = docker.read_text().splitlines()
    name = calls[1].split()[3]
    assert calls[1].startswith(f"run --detach --name {name} --read-only --cap-drop ALL")
    assert calls[1].endswith("sha256:built")
    assert f"stop --time 36 {name}" in calls
    assert calls[-1] == f"rm --force --volumes {name}"


@pytest.mark.parametrize(
    ("variables", "behaviour", "check", "said"),
    [
        ({"DOCKER_USER": "0"}, Behaviour(), "user", "its processes run as 0"),
        ({"DOCKER_CODE": "137"}, Behaviour(), "drain", "exit code 137"),
        ({}, Behaviour(broken={"/v1/models": 404}), "API", "/v1/models answered 404"),
        ({}, Behaviour(digests={"llama2:latest": "b" * 64}), "models", "was baked"),
        ({"DOCKER_RUNNING": "false"}, Behaviour(broken={"/readyz": 503}), "starts", "it has ended"),
        ({}, Behaviour(broken={"/readyz": 503}), "starts", "no space left on device"),
    ],
)
def test_each_fault_has_its_name(
    docker: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    behaviour: Behaviour,
    check: str,
    said: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = failed(tried(behaviour, monkeypatch, **{"llama2:latest": DIGEST}))
    assert list(found) == [check]
    assert said in found[check]


def test_without_an_engine_it_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ArrieroError, match="there is no program docker; install a container engine"):
        trial.of_image(SPEC, "sha256:built", {}, ManualClock())
