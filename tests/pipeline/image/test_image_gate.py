"""The gate decides each case of `cases/scan` as it says; reports that are none are told."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arriero.errors import ArrieroError
from arriero.pipeline.image import gate, hadolint, trivy
from arriero.spec.image import Scan

CASES = sorted((Path(__file__).parents[2] / "cases" / "scan").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_scan_is_judged_as_written(path: Path) -> None:
    case = json.loads(path.read_text())
    found = list(trivy.findings(json.dumps(case["report"])))
    verdict = gate.judge(found, Scan.model_validate(case["policy"]), date.fromisoformat(case["today"]))
    assert [finding.id for finding in verdict.refused] == case["refused"]
    assert {finding.id: why for finding, why in verdict.passed} == case["passed"]
    assert list(verdict.notes) == case["notes"]
    assert verdict.is_good == (not case["refused"])


def test_a_secret_that_was_found_is_never_shown() -> None:
    case = json.loads(next(path for path in CASES if path.stem == "secrets-and-configuration").read_text())
    found = list(trivy.findings(json.dumps(case["report"])))
    assert "never-shown" not in f"{found} {[finding.as_json() for finding in found]} {found[0]}"
    assert str(found[0]).startswith("critical aws-access-key-id  /opt/app/settings.py:3: AWS Access Key ID")


def test_trivy_is_called_with_its_documented_flags() -> None:
    image, config = trivy.commands("sha256:1", "/tmp/x")
    assert image == ("trivy", "image", "--format", "json", "--quiet", "--scanners", "vuln,secret", "sha256:1")
    assert config == ("trivy", "config", "--format", "json", "--quiet", "/tmp/x")


def test_what_hadolint_says_is_a_finding_with_its_line() -> None:
    said = '[{"line": 3, "code": "DL3002", "message": "Last user should not be root", "column": 1, "level": "error"}]'
    (found,) = hadolint.findings(said)
    assert " ".join(str(found).split()) == "high DL3002 Dockerfile:3: Last user should not be root"


@given(st.one_of(st.text(max_size=60), st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner:
       st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Results", "Target", "Secrets", "x"]), inner,
       max_size=3), max_leaves=8).map(json.dumps)))  # fmt: skip
def test_whatever_a_scanner_prints_is_read_or_refused_in_words(text: str) -> None:
    for findings in (trivy.findings, hadolint.findings):
        with contextlib.suppress(ArrieroError):
            list(findings(text))
