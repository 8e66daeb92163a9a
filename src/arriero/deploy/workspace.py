"""One run's private data directory: its inventory, its settings, its log."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from arriero.clock import Clock
from arriero.events import Json

KEPT_RUNS = 20


@dataclass(frozen=True, slots=True)
class SiteHost:
    """A site as Ansible sees it: a host, on this machine, with all variables of its role. A store of the ledger is one,
    too, in the group `stores`.

    Variables are written to the inventory, so they hold no secret: secrets travel in the environment.
    """

    name: str
    cloud: str
    region: str
    role: str
    variables: Mapping[str, Json] = field(default_factory=dict)
    group: str = "sites"

    @property
    def groups(self) -> tuple[str, ...]:
        region = (f"region_{group_name(self.region)}",) if self.region else ()
        return (self.group, self.cloud, f"role_{self.role}", *region)

    @property
    def all_variables(self) -> dict[str, Json]:
        own: dict[str, Json] = {
            "ansible_connection": "local",
            # Modules stay on this machine: packing them tighter would only take time, at every task.
            "ansible_module_compression": "ZIP_STORED",
            "arriero_cloud": self.cloud,
            "arriero_region": self.region,
            "arriero_role": self.role,
            "arriero_site": self.name,
        }
        return {**own, **self.variables}


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of one run, readable by its owner only."""

    folder: Path

    @classmethod
    @contextmanager
    def opened(cls, runs: Path, hosts: Sequence[SiteHost], clock: Clock) -> Iterator[Workspace]:
        """Makes `<runs>/<UTC time>-<short id>` with an inventory of `hosts` and holds it until the block ends; older
        runs than the last 20 go.

        Deployers of one project run side by side, so none prunes between another's making and its lock.
        """
        runs.mkdir(mode=0o700, parents=True, exist_ok=True)
        workspace = cls(runs / f"{clock.now():%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}")
        with ExitStack() as held:
            with _alone(runs):
                _prune(runs)
                for folder in (workspace.folder, workspace.temporary, workspace.inventory.parent):
                    folder.mkdir(mode=0o700)
                held.enter_context(workspace.locked())
            workspace.config.write_text("# Empty on purpose: this run's settings are in its environment.\n")
            _write_private(workspace.inventory, json.dumps(inventory(hosts), indent=2))
            yield workspace

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory" / "hosts.yaml"

    @property
    def config(self) -> Path:
        return self.folder / "ansible.cfg"

    @property
    def log(self) -> Path:
        """What Ansible said, line by line."""
        return self.folder / "ansible.log"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def artifacts(self) -> Path:
        """Where ansible-runner works; gone after the run."""
        return self.folder / "artifacts"

    @property
    def temporary(self) -> Path:
        """Where Ansible puts what it must; gone after the run."""
        return self.folder / "tmp"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder; the kernel lets go when the process dies. Raises BlockingIOError if another holds it."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield

    def open_log(self) -> TextIO:
        self.log.touch(mode=0o600)
        return self.log.open("a", encoding="utf-8")

    def tidy(self) -> None:
        """Removes what only a running Ansible needs."""
        shutil.rmtree(self.artifacts, ignore_errors=True)
        shutil.rmtree(self.temporary, ignore_errors=True)


def inventory(hosts: Sequence[SiteHost]) -> dict[str, Json]:
    """Ansible's own YAML form; JSON is YAML, and quotes what YAML would take for something else."""
    groups: dict[str, Json] = {}
    for group in sorted({group for host in hosts for group in host.groups}):
        groups[group] = {"hosts": {host.name: None for host in hosts if group in host.groups}}
    return {"all": {"hosts": {host.name: host.all_variables for host in hosts}, "children": groups}}


def group_name(text: str) -> str:
    """The text as Ansible allows it in a group's name: `us-east-1` becomes `us_east_1`."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in text)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits until no other process is in here with the same folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _prune(runs: Path) -> None:
    """Keeps the newest runs, one place left for the new one, and tidies up after those that were killed.

    Names sort by time. Whoever is still at work in a folder holds its lock, and is left alone.
    """
    former = sorted(path for path in runs.iterdir() if path.is_dir())
    surplus = former[: max(0, len(former) - KEPT_RUNS + 1)]
    for path in former:
        try:
            with Workspace(path).locked():
                Workspace(path).tidy()
                if path in surplus:
                    shutil.rmtree(path)
        except BlockingIOError:
            continue


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
