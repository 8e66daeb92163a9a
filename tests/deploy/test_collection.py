"""The collection as Ansible's own tools judge it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arriero.deploy.settings import OWN_COLLECTIONS, PLAYBOOKS, ansible_environment

COLLECTION = OWN_COLLECTIONS / "ansible_collections/arriero/fleet"
SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
sites:
  office: {cloud: local, hosts: [127.0.0.1]}
"""


def ansible(home: Path, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a program of Ansible in the environment that `arriero env` prints, with a home of its own."""
    kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home)}
    environment = {**kept, **ansible_environment(kept)}
    program, *rest = words
    command = [Path(sys.executable).with_name(str(program)), *rest]
    return subprocess.run(command, env=environment, cwd=cwd or home, capture_output=True, text=True, check=False)


def test_ansible_lint_has_no_complaint_in_its_production_profile(tmp_path: Path) -> None:
    done = ansible(tmp_path, "ansible-lint", "--nocolor", "--offline", "--profile", "production", cwd=COLLECTION)
    assert done.returncode == 0, done.stdout
    assert "'production' was required, and it passed" in done.stderr


@pytest.mark.parametrize("playbook", ["site.yml", "front_door.yml", "every_site.yml", "remove.yml"])
def test_a_playbooks_syntax_is_right(playbook: str, tmp_path: Path) -> None:
    done = ansible(tmp_path, "ansible-playbook", "--syntax-check", "-i", "office,", PLAYBOOKS / playbook)
    assert done.returncode == 0, done.stderr


def test_every_plugin_explains_itself(tmp_path: Path) -> None:
    for kind in ("inventory", "callback"):
        listed = json.loads(ansible(tmp_path, "ansible-doc", "-t", kind, "-j", "-l", "arriero.fleet").stdout)
        assert listed
        done = ansible(tmp_path, "ansible-doc", "-t", kind, *listed)
        assert done.returncode == 0, done.stderr


def test_every_python_file_carries_the_licence() -> None:
    files = sorted((COLLECTION / "plugins").rglob("*.py"))
    assert files
    assert [path.name for path in files if "GNU General Public License v3.0" not in path.read_text()[:300]] == []
    assert "GNU GENERAL PUBLIC LICENSE" in (COLLECTION / "COPYING").read_text()[:200]


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    (tmp_path / "arriero.yaml").write_text(SPEC)
    path = tmp_path / "fleet.arriero.yml"
    path.write_text("plugin: arriero.fleet.fleet\n")
    return path


def test_a_site_is_a_host_with_every_step_of_its_role(fleet: Path, tmp_path: Path) -> None:
    done = ansible(tmp_path, "ansible-inventory", "-i", fleet, "--list")
    listed = json.loads(done.stdout)
    assert listed["sites"]["hosts"] == listed["local"]["hosts"] == listed["role_active"]["hosts"] == ["office"]
    variables = json.loads(ansible(tmp_path, "ansible-inventory", "-i", fleet, "--host", "office").stdout)
    assert variables["arriero_cloud"] == "local"
    assert len(variables["local_site_steps"]) >= 1


def test_a_bad_spec_fails_the_inventory_in_the_specs_own_words(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "arriero.yaml").write_text(SPEC.replace("models", "modles"))
    done = ansible(tmp_path, "ansible-inventory", "-i", fleet, "--graph")
    assert done.returncode != 0
    assert "arriero.yaml:3: modles: " in done.stderr


def test_a_spec_that_may_not_touch_real_accounts_is_refused_without_the_stage(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "arriero.yaml").write_text(SPEC + "rehearse: always\n")
    done = ansible(tmp_path, "ansible-inventory", "-i", fleet, "--graph")
    assert done.returncode != 0
    assert "this spec may not touch real accounts" in done.stderr
