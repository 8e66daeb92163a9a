"""Small plays at sites on this machine, and somebody who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent, indent

import pytest
from listening import Heard

from arriero.clock import SystemClock
from arriero.deploy.workspace import SiteHost, Workspace

PLAY = """\
- name: A play
  hosts: sites
  gather_facts: false
  strategy: ansible.builtin.free
  tasks:
"""


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def play(tmp_path: Path) -> Callable[[str], str]:
    """Writes the tasks as the step `work` of a play; returns the playbook's path."""

    def write(tasks: str) -> str:
        path = tmp_path / "work.yml"
        path.write_text(PLAY + indent(dedent(tasks), "    "))
        return str(path)

    return write


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    hosts = [SiteHost("here", "local", "", "active"), SiteHost("there", "aws", "us-east-1", "standby")]
    with Workspace.opened(tmp_path / "runs", hosts, SystemClock()) as opened:
        yield opened
