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

# A secret as a result that nobody hid, as a hidden one, as a module's argument, and in a message.
TASKS = """\
- name: Return a secret in a result
  ansible.builtin.command: printenv A_NAME_THAT_NOBODY_KNOWS
- name: Return a hidden result
  ansible.builtin.command: printenv AZURE_SECRET
  no_log: true
- name: Hand a secret to a module
  ansible.builtin.command: {argv: [cat], stdin: "{{ lookup('ansible.builtin.env', 'AWS_SECRET_ACCESS_KEY') }}"}
- name: Fail with a secret
  ansible.builtin.fail: {msg: "login {{ lookup('ansible.builtin.env', 'AZURE_SECRET') }} refused"}
"""


@pytest.fixture
def marked() -> dict[str, str]:
    return {name: f"mark-{uuid4().hex}" for name in SECRETS}


def test_no_file_and_no_command_line_ever_holds_a_secret(
    workspace: Workspace,
    play: Callable[[str], str],
    marked: dict[str, str],
    heard: Heard,
    tmp_path: Path,
) -> None:
    words, seen = list(marked.values()), list[str]()

    def look(event: Event) -> None:
        heard(event)
        seen.extend(files_with(words, tmp_path))
        seen.extend(line for _, line in command_lines() if any(word in line for word in words))

    outcome = runner.run(workspace, play(TASKS), {**os.environ, **marked}, SITES, look, SystemClock())
    assert "'Fail with a secret' failed: login ••• refused" in str(outcome.failed["here"])
    assert len(heard.events) > 10
    assert seen == []
    assert files_with(words, tmp_path) == []
    assert not any(word in str(event) for event in heard.events for word in words)


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
