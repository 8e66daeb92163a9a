"""The command line's promises that need no cloud: exit codes, errors as words or JSON, help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arriero.cli import main

GOOD = """name: llm
image: registry.example.com/acme/llm:1
models: [llama2]
sites:
  a: {cloud: aws, region: us-east-1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_spec_is_an_error_with_a_remedy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["config"]) == 1
    assert "arriero init" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["plan", "--nonsense"], ["nonsense"], ["docs", "scael"]])
def test_mistyped_words_are_exit_code_one(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main.run(arguments) == 1
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    assert said.err.count("\n") == 1


def test_errors_are_json_on_stdout_for_machines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "arriero.yaml").write_text(GOOD.replace("models:", "modles:"))
    assert main.run(["config", "--json"]) == 1
    errors = json.loads(capsys.readouterr().out)["error"]
    assert [(error["line"], error["key"]) for error in errors] == [(1, "models"), (3, "modles")]


def test_config_shows_where_values_come_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "arriero.yaml").write_text(GOOD)
    assert main.run(["config", "--origin"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("name: llm ") and line.endswith("arriero.yaml:1") for line in lines)
    assert any("default" in line for line in lines)


def test_init_writes_a_spec_that_loads_and_never_overwrites(folder: Path) -> None:
    assert main.run(["init", "--name", "chat"]) == 0
    assert main.run(["config"]) == 0
    assert main.run(["init"]) == 1


def test_every_verb_has_help(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verbs = "init config schema docs plan up down status logs doctor env ask setup version gateway controller rehearse"
    for verb in verbs.split():
        assert main.run([verb, "--help"]) == 0, verb
        assert "Usage" in capsys.readouterr().out
