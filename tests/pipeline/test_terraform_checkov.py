"""checkov reads the exported module: it agrees, or `tests/cases/terraform/checkov.json` has the reason why not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from terraform_specs import GPUS, SITES, SPECS, nothing, spec
from test_terraform import written

CHECKOV = Path(__file__).parents[2] / ".venv/checkov/bin/checkov"
EXPLAINED = json.loads((Path(__file__).parents[1] / "cases/terraform/checkov.json").read_text())
READ = (
    "behind a Front Door",
    "models from storage",
    "models from storage at Azure, through a private endpoint",
    "spares in a standby pool",
    "on container apps with GPUs",
    "on virtual machines with GPUs at Azure",
    "behind edges at Azure",
    "secrets of Key Vault",
    "Azure's alerts scale",
)

pytestmark = [pytest.mark.wide, pytest.mark.skipif(not CHECKOV.exists(), reason="checkov is not installed")]


def test_checkov_agrees_or_the_difference_is_explained(tmp_path: Path) -> None:
    machines = {"sites": {**SITES, "aws-west": {**SITES["aws-east"], **GPUS, "region": "us-west-2"}}}
    for number, changes in enumerate((machines, *(SPECS[name] for name in READ))):
        (tmp_path / str(number)).mkdir()
        written(spec(changes), nothing(spec(changes)), tmp_path / str(number))
    command = [
        str(CHECKOV),
        "-d",
        str(tmp_path),
        "--framework",
        "terraform",
        "--skip-download",
        "--compact",
        "-o",
        "json",
    ]
    environment = {**os.environ, "HOME": str(tmp_path), "BC_SKIP_MAPPING": "TRUE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    said = json.loads(done.stdout)
    assert said["summary"]["parsing_errors"] == 0
    assert said["summary"]["passed"] > 50
    assert {each["check_id"] for each in said["results"]["failed_checks"]} == set(EXPLAINED)
