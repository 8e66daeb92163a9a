"""Twenty seconds of everything at once leave no task, socket or file behind: `benchmarks/soak.py`, shortened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.story
@pytest.mark.wide
def test_nothing_is_left_over_when_all_clients_have_gone() -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/soak.py"), "--seconds", "20"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
