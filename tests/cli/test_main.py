"""The command line's promises that need no cloud: exit codes, errors as words or JSON, help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from arriero.cli import main
from arriero.cli.verbs import MODULES, app_of

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


ALONE = "init config schema docs plan up down status logs doctor env ask export setup validate notify test version"
STAGE = "start stop status fault reset"
VERBS = [
    *ALONE.split(),
    "gateway run",
    "gateway sidecar",
    "controller run",
    *(f"rehearse {verb}" for verb in STAGE.split()),
]


def test_the_table_of_verbs_is_what_the_modules_have() -> None:
    for module, verbs in MODULES.items():
        command: Any = typer.main.get_command(app_of(verbs[0]))
        assert tuple(command.commands) == verbs, module


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*verb.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Usage: arriero {verb}" in said
    assert "Example: " in said


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("arriero sta", ["status"]),
        ("arriero plan --site ", ["a"]),
        ("arriero docs sc", ["scale"]),
        ("arriero export ga", ["gateway"]),
        ("arriero rehearse fault --kind ki", ["kill"]),
    ],
)
def test_a_shell_completes_verbs_and_what_the_spec_knows(folder: Path, words: str, offered: list[str]) -> None:
    (folder / "arriero.yaml").write_text(GOOD)
    asked = {"_ARRIERO_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    program = Path(sys.executable).with_name("arriero")
    done = subprocess.run(
        [program], env={**os.environ, **asked}, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == offered
