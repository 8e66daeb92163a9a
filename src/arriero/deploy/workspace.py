"""Writes one run's private data directory, in the form that ansible-runner reads."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from arriero.clock import Clock
from arriero.events import Json

KEPT_RUNS = 20


@dataclass(frozen=True, slots=True)
class SiteHost:
    """One site as Ansible's host, with its role's variables."""

    name: str
    cloud: str
    region: str
    role: str
    variables: Mapping[str, Json]

    @property
    def groups(self) -> tuple[str, ...]:
        groups = ("sites", self.cloud, f"role_{self.role}")
        return (*groups, f"region_{self.region.replace('-', '_')}") if self.region else groups

    @property
    def all_variables(self) -> dict[str, Json]:
        """The role's variables and how Ansible reaches the site: through the cloud's API, from this machine."""
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "arriero_cloud": self.cloud,
            "arriero_region": self.region,
            **self.variables,
        }


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of one run; readable by its owner only."""

    folder: Path
    hosts: tuple[SiteHost, ...]

    @classmethod
    def create(cls, runs: Path, hosts: Sequence[SiteHost], clock: Clock) -> Workspace:
        """A new folder under `runs`, named by time; the oldest beyond twenty go."""
        runs.mkdir(mode=0o700, exist_ok=True)
        for old in sorted(path for path in runs.iterdir() if path.is_dir())[: -KEPT_RUNS + 1]:
            shutil.rmtree(old, ignore_errors=True)
        folder = runs / f"{clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        (folder / "inventory").mkdir(parents=True, mode=0o700)
        folder.chmod(0o700)
        (folder / "inventory" / "hosts.yml").write_text(json.dumps(inventory(hosts), indent=1))
        return cls(folder, tuple(hosts))


def inventory(hosts: Sequence[SiteHost]) -> dict[str, Json]:
    """The static inventory of a run (JSON is YAML): every site under each of its groups."""
    groups: dict[str, dict[str, Json]] = {}
    for host in hosts:
        for group in host.groups:
            groups.setdefault(group, {})[host.name] = host.all_variables if group == "sites" else {}
    return {name: {"hosts": members} for name, members in groups.items()}
