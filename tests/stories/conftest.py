"""A whole project on its own stage, driven by the command line as a user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
LIMIT_SECONDS = 240


@dataclass
class Command:
    """How one call of `arriero` ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Place:
    """A project folder with a stage of its own."""

    folder: Path

    def arriero(self, *arguments: str, **environment: str) -> Command:
        ended = subprocess.run(
            [sys.executable, "-m", "arriero", *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        return Command(ended.returncode, ended.stdout, ended.stderr)

    @property
    def stage(self) -> Path:
        return self.folder / ".arriero" / "stage"

    @property
    def runs(self) -> list[Path]:
        return sorted((self.folder / ".arriero" / "runs").glob("*"))

    def environment(self) -> dict[str, str]:
        """What leads boto3 and the Azure SDKs to the stage."""
        found: dict[str, str] = self.arriero("env", "--json").json["environment"]
        return found

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.stage / "requests.jsonl").read_text().splitlines()]


def open_place(folder: Path, spec: Path) -> Iterator[Place]:
    shutil.copy(spec, folder / "arriero.yaml")
    place = Place(folder)
    try:
        yield place
    finally:
        place.arriero("down", "--purge", "--yes")
        place.arriero("rehearse", "stop")


@pytest.fixture(scope="module")
def two_clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from open_place(tmp_path_factory.mktemp("two-clouds"), ROOT / "examples/two-clouds/arriero.yaml")
