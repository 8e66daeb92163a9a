"""No secret is written anywhere: not during a run, not after it, not when it is killed; nor in a process list."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from listening import Heard
from running import START, command_lines, files_with, processes_with, wait_for

from arriero.clock import SystemClock
from arriero.deploy import runner
from arriero.deploy.workspace import Workspace
from arriero.events import Event

SITES = ["here", "there"]
SECRETS = ["AZURE_SECRET", "AWS_SECRET_ACCESS_KEY", "A_NAME_THAT_NOBODY_KNOWS"]

# A secret as a result that nobody hid, as a hidden one, as a module's argument, in a message, and from the vault.
TASKS = """\
- name: Return a secret in a result
  ansible.builtin.command: printenv A_NAME_THAT_NOBODY_KNOWS
- name: Return a hidden result
  ansible.builtin.command: printenv AZURE_SECRET
  no_log: true
- name: Hand a secret to a module
  ansible.builtin.command: {argv: [cat], stdin: "{{ lookup('ansible.builtin.env', 'AWS_SECRET_ACCESS_KEY') }}"}
- name: Use a variable from the vault
  ansible.builtin.set_fact: {copy: "{{ from_vault | default('') }}"}
- name: Fail with a secret
  ansible.builtin.fail: {msg: "login {{ lookup('ansible.builtin.env', 'AZURE_SECRET') }} refused"}
"""


@pytest.fixture
def marked() -> dict[str, str]:
    return {name: f"mark-{uuid4().hex}" for name in SECRETS}


@pytest.fixture
def vault(tmp_path: Path) -> tuple[Path, Path, str]:
    """A file encrypted by ansible-vault itself, its password file, and the secret inside."""
    folder, secret = tmp_path / "vault", f"mark-{uuid4().hex}"
    folder.mkdir()
    (folder / "password").write_text("open sesame\n")
    (folder / "secrets.yml").write_text(f"from_vault: {secret}\n")
    program = Path(sys.executable).with_name("ansible-vault")
    password = f"--vault-password-file={folder / 'password'}"
    subprocess.run([program, "encrypt", password, folder / "secrets.yml"], check=True, capture_output=True)
    return folder / "secrets.yml", folder / "password", secret


def test_no_file_and_no_command_line_ever_holds_a_secret(
    workspace: Workspace,
    play: Callable[[str], str],
    marked: dict[str, str],
    vault: tuple[Path, Path, str],
    heard: Heard,
    tmp_path: Path,
) -> None:
    vault_file, password, secret = vault
    words, seen = [*marked.values(), secret], list[str]()

    def look(event: Event) -> None:
        heard(event)
        seen.extend(files_with(words, tmp_path))
        seen.extend(line for _, line in command_lines() if any(word in line for word in words))

    environment = {**os.environ, **marked, "ANSIBLE_VAULT_PASSWORD_FILE": str(password)}
    files = [vault_file]
    outcome = runner.run(workspace, play(TASKS), environment, SITES, look, SystemClock(), vault_files=files)
    assert "'Fail with a secret' failed: login ••• refused" in str(outcome.failed["here"])
    assert len(heard.events) > 10
    assert seen == []
    assert files_with(words, tmp_path) == []
    assert not any(word in str(event) for event in heard.events for word in words)


def test_a_variable_from_the_vault_arrives(
    workspace: Workspace, play: Callable[[str], str], vault: tuple[Path, Path, str], heard: Heard
) -> None:
    vault_file, password, secret = vault
    playbook = play(f"- name: Compare\n  ansible.builtin.assert: {{that: from_vault == '{secret}'}}\n")
    environment = {**os.environ, "ANSIBLE_VAULT_PASSWORD_FILE": str(password)}
    outcome = runner.run(workspace, playbook, environment, SITES, heard, SystemClock(), vault_files=[vault_file])
    assert outcome.failed == {}


def test_a_vault_without_its_password_is_a_problem_that_says_so(
    workspace: Workspace, play: Callable[[str], str], vault: tuple[Path, Path, str], heard: Heard
) -> None:
    playbook = play("- name: Say hello\n  ansible.builtin.debug: {msg: hello}\n")
    outcome = runner.run(workspace, playbook, dict(os.environ), SITES, heard, SystemClock(), vault_files=[vault[0]])
    assert "no vault secrets" in str(outcome.failed["here"]).lower()


def test_a_run_that_is_killed_leaves_no_secret_behind(
    workspace: Workspace, play: Callable[[str], str], marked: dict[str, str], tmp_path: Path
) -> None:
    sleep = f"300.{uuid4().int % 10**12}"
    quiet = TASKS.partition("- name: Fail")[0]
    playbook = play(f"{quiet}- name: Sleep\n  ansible.builtin.command: sleep {sleep}\n")
    with subprocess.Popen([sys.executable, START, workspace.folder, playbook], env={**os.environ, **marked}) as process:
        wait_for(lambda: len(processes_with(sleep)) >= 2)
        process.kill()
        process.wait()
    wait_for(lambda: not processes_with(sleep))
    assert (workspace.artifacts / "run/command").exists()
    assert files_with(list(marked.values()), tmp_path) == []
