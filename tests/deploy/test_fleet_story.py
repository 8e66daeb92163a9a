"""Plain Ansible sees both clouds of a stage."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ARRIERO = Path(sys.executable).with_name("arriero")
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
sites:
  aws-east: {cloud: aws, region: us-east-1}
  azure-eu: {cloud: azure, region: westeurope, role: standby}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "arriero.yaml").write_text(SPEC)
    (tmp_path / "fleet.arriero.yml").write_text("plugin: arriero.fleet.fleet\n")
    yield tmp_path
    subprocess.run([ARRIERO, "rehearse", "stop"], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.story
def test_the_inventory_lists_the_sites_of_both_clouds(project: Path) -> None:
    script = 'eval "$("$1" env)" && ansible-inventory -i fleet.arriero.yml --graph'
    done = subprocess.run(
        ["bash", "-c", script, "bash", ARRIERO],
        cwd=project,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    groups = {block.split(":")[0]: block.split() for block in done.stdout.split("|--@")[1:]}
    assert "|--aws-east" in groups["aws"]
    assert "|--azure-eu" in groups["azure"]
    assert "|--aws-east" in groups["region_us_east_1"]
    assert "|--azure-eu" in groups["role_standby"]
