"""What looks for secrets in stories does find them, in each form of text, in files and in processes; and shows none."""

from __future__ import annotations

import base64
import gzip
import html
import json
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from places import wait_for
from whereabouts import SIGN, Marks, Watch, in_files

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "url": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "html": html.escape,
    "shell": shlex.quote,
    "repr": repr,
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 after one": lambda text: base64.b64encode(f"u{text}".encode()).decode(),
    "base64 after two": lambda text: base64.b64encode(f"u:{text}".encode()).decode(),
    "base64 in an address": lambda text: quote(base64.urlsafe_b64encode(f"user:{text}".encode()).decode()),
    "base64, quoted": lambda text: quote(base64.b64encode(f"user:{text}".encode()).decode(), safe=""),
    "base64 of json": lambda text: base64.b64encode(json.dumps({"password": text}).encode()).decode(),
}
# As a storage account's key is, a token, and an API key.
FOREIGN = {
    "key": base64.b64encode(bytes(range(100, 164))).decode(),
    "token": "x9_-" + "Ab3_" * 9,
    "api": f"ak_0123456789ab_{'Zq7-' * 10}",
}


@pytest.fixture
def marks() -> Marks:
    return Marks()


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_mark_is_found_in_each_form(marks: Marks, form: str) -> None:
    text = FORMS[form](marks.plant("one"))
    marks.plant("another")
    assert [(name, offset >= 4) for name, offset, _ in marks.find(f"... {text} ...".encode())] == [("one", True)]


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("form", FORMS)
def test_what_somebody_else_made_is_found_too(marks: Marks, kind: str, form: str) -> None:
    marks.know(kind, FOREIGN[kind])
    assert {name for name, _, _ in marks.find(f"... {FORMS[form](FOREIGN[kind])}".encode())} == {kind}


def test_nothing_is_found_where_nothing_is(marks: Marks) -> None:
    marks.plant("one")
    marks.know("key", FOREIGN["key"])
    assert marks.find(f"{SIGN} and {base64.b64encode(SIGN.encode()).decode()}, {FOREIGN['key'][:15]}".encode()) == []


def test_a_planted_file_is_found_and_the_mark_is_not_shown(marks: Marks, tmp_path: Path) -> None:
    text = marks.plant("one", rough="")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "plain.log").write_text(f"0123 {text}")
    (tmp_path / "packed.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / f"of-{text}").touch()
    with zipfile.ZipFile(tmp_path / "packed.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("inner.txt", text)
    found = sorted(map(str, in_files(marks, [tmp_path], tmp_path)))
    assert found == [
        "one as it is in deep/plain.log at byte 5",
        "one as it is in of-(one) at byte 3",
        "one as it is in packed.gz (unpacked) at byte 0",
        "one as it is in packed.zip (inner.txt) at byte 0",
    ]
    assert text not in f"{marks!r} {list(in_files(marks, [tmp_path], tmp_path))}"


def test_processes_and_files_that_come_and_go_are_seen(marks: Marks, tmp_path: Path) -> None:
    variable, argument, stray = (marks.plant(name) for name in ("variable", "argument", "stray"))

    def program(line: bytes, _environment: bytes, _cwd: str) -> str:
        return "ours" if b"sys.stdin.read()" in line else "another"

    with Watch(marks, program, [tmp_path], tmp_path) as watch:
        (tmp_path / "for a moment").write_text(stray)
        command = [sys.executable, "-c", "import sys; sys.stdin.read()", argument]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env={"KEY": variable}) as process:
            assert wait_for(lambda: len({found.mark for found in watch.findings()}) == 3, 20)
            process.communicate()
        (tmp_path / "for a moment").unlink()
    assert {(found.mark, found.place) for found in watch.findings()} == {
        ("variable", "environment of ours"),
        ("argument", "command line of ours"),
        ("stray", "file for a moment"),
    }
