"""The verbs of API keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arriero.cli import main
from arriero.control.keys import id_of, read

SPEC = """\
name: llm
image: acme/ollama
models: [llama2]
secrets: {token: "${NOT_SET}"}
sites: {a: {cloud: aws, region: us-east-1}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arriero.yaml").write_text(SPEC)
    return tmp_path


def test_a_key_is_shown_once_and_kept_as_a_hash(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["keys", "add", "app", "--model", "llama2", "--requests-a-minute", "60", "--expires", "90d"]) == 0
    text = capsys.readouterr().out.strip()
    path = project / ".arriero" / "gateway" / "keys.json"
    (key,) = read(path)
    assert key.locks[0].opens(text)
    assert (key.name, key.models, key.requests_a_minute) == ("app", ("llama2",), 60)
    assert key.expires is not None
    assert (key.expires - key.created).days == 90
    assert main.run(["keys", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    assert json.loads(listed)["keys"][0]["id"] == id_of(text)
    assert text not in listed + path.read_text()


def test_keys_go_to_the_file_that_the_spec_names(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "arriero.yaml").write_text(SPEC + "gateway: {keys: own/keys.json}\n")
    (project / "arriero.staging.yaml").write_text("gateway: {keys: staging.json}\n")
    assert main.run(["keys", "add", "app"]) == 0
    assert main.run(["keys", "add", "tester", "-e", "staging"]) == 0
    assert [key.name for key in read(project / "own" / "keys.json")] == ["app"]
    assert [key.name for key in read(project / "staging.json")] == ["tester"]
    assert not (project / ".arriero" / "gateway").exists()


def test_rotating_and_revoking(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "own.json"
    own = ["--keys", str(path)]
    main.run(["keys", "add", "app", *own])
    first = capsys.readouterr().out.strip()
    assert main.run(["keys", "rotate", "app", "--overlap", "1h", "--json", *own]) == 0
    second = json.loads(capsys.readouterr().out)["key"]
    (key,) = read(path)
    assert [lock.opens(text) for lock, text in zip(key.locks, (second, first), strict=True)] == [True, True]
    assert main.run(["keys", "revoke", "app", *own]) == 1
    assert "add --yes" in capsys.readouterr().err
    assert main.run(["keys", "revoke", "app", "--yes", *own]) == 0
    assert read(path) == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "a b"], "NAME: 'a b' is not a name of letters, digits, dots, dashes and underscores"),
        (["add", "a", "--role", "root"], "--role: there is no role root; choose from user, viewer, admin"),
        (["add", "a", "--expires", "soon"], "--expires: it is 'soon', not a length of time"),
        (["add", "a", "--expires", "2001-01-01"], "--expires: 2001-01-01 has passed; give a later moment"),
        (["add", "a", "--spend-a-day", "-1"], "--spend-a-day: -1.0 is not an amount above 0"),
        (["rotate", "a"], "there is no key a; see: arriero keys list"),
        (["revoke", "a", "--yes"], "there is no key a; see: arriero keys list"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main.run(["keys", *arguments]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(message)
    assert said.err.count("\n") == 1
    assert said.out == ""
