"""The verb check as a user sees it: lines, exit codes, JSON and SARIF."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arriero.cli import main

SPEC = """\
name: llm
image: acme/ollama
models: [llama2]
secrets: {hf_token: "${HF_TOKEN}"}
sites: {office: {cloud: local, hosts: [127.0.0.1]}}
"""
BAD = "environment: {API_TOKEN: x}\n"
WAIVED = "policy: {waive: [{rule: env-secret, until: 9999-12-31, reason: it opens nothing}]}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Holds a spec whose secret is not set: a check needs none."""
    (tmp_path / "arriero.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_good_spec_is_called_good(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["check", "--offline"]) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings, 0 notes, 0 waived. Good.\n"


def test_a_failed_verdict_is_exit_code_3(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "arriero.yaml").write_text(SPEC + BAD)
    assert main.run(["check", "--offline"]) == 3
    assert capsys.readouterr().out == (
        "error: arriero.yaml:6: environment.API_TOKEN: API_TOKEN looks like a secret; take it out, and give the secret "
        "out anew: it was written down [env-secret]\n1 error, 0 warnings, 0 notes, 0 waived. Failed.\n"
    )


def test_a_waived_one_is_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "arriero.yaml").write_text(SPEC + BAD + WAIVED)
    assert main.run(["check", "--offline"]) == 0
    assert "[env-secret, waived until 9999-12-31: it opens nothing]" in capsys.readouterr().out


def test_json_has_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "arriero.yaml").write_text(SPEC + BAD + WAIVED)
    main.run(["check", "--offline", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["verdict"], said["reach"]) == (1, "good", [])
    [found] = said["findings"]
    assert (found["rule"], found["severity"], found["line"]) == ("env-secret", "error", 6)
    assert found["waived"] == {"until": "9999-12-31", "reason": "it opens nothing"}


@pytest.mark.parametrize("waiver", ["", WAIVED])
def test_sarif_names_the_rule_and_the_line(folder: Path, waiver: str) -> None:
    (folder / "arriero.yaml").write_text(SPEC + BAD + waiver)
    main.run(["check", "--offline", "--sarif", "out/found.sarif"])
    written = json.loads((folder / "out/found.sarif").read_text())
    assert written["version"] == "2.1.0"
    [run] = written["runs"]
    [result] = run["results"]
    rules = run["tool"]["driver"]["rules"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "env-secret"
    assert rules[result["ruleIndex"]]["defaultConfiguration"] == {"level": "error"}
    [place] = result["locations"]
    assert place["physicalLocation"] == {"artifactLocation": {"uri": "arriero.yaml"}, "region": {"startLine": 6}}
    assert [each["status"] for each in result.get("suppressions", [])] == (["accepted"] if waiver else [])


def test_a_file_that_can_not_be_written_is_a_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["check", "--offline", "--sarif", "arriero.yaml/found.sarif"]) == 1
    assert capsys.readouterr().err.startswith("arriero.yaml/found.sarif: can't be written: ")


def test_the_rules_are_listed_with_the_users_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "ours.py").write_text(
        "from arriero.policy.rule import rule\n"
        "@rule('ours', 'note', reason='we want it so', remedy='do as we do')\n"
        "def ours(subject):\n    return ()\n"
    )
    (folder / "arriero.yaml").write_text(SPEC + "policy: {rules: [ours.py]}\n")
    assert main.run(["check", "--rules"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("public-without-keys      error    Ollama and its sidecar ask nobody for a key")
    assert lines[-1] == "ours                     note     we want it so"


def test_rules_that_can_not_be_used_are_told_by_their_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "arriero.yaml").write_text(SPEC + "policy: {rules: [ours.py]}\n")
    assert main.run(["check", "--offline"]) == 1
    assert capsys.readouterr().err == "arriero.yaml:6: policy.rules[0]: there is no file ours.py; correct the path\n"
