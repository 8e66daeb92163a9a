"""Servers die, drain and come back under load, and clients see nothing of it: `benchmarks/faults.py`, shortened.

A tenth of its streams in half a minute; the bars are the same, and the program itself tells what was missed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.story
def test_no_stream_is_lost_while_targets_die_and_drain_and_a_site_goes(tmp_path: Path) -> None:
    report = tmp_path / "faults.json"
    ended = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/faults.py"), "--short", "--report", str(report)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = {row["what"].strip(): row["value"] for row in json.loads(report.read_text())["figures"]}
    assert figures["streams"] > 100
    assert figures["of them carried on at another target"] > 10
    assert figures["lost without a byte"] == figures["ended without a word"] == 0
