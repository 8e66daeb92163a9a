"""Everything that the emulated Azure remembers, written to disk within 300 ms after a change.

Who runs: request threads and the reconciler change it under `lock` and then call `changed`; one writer thread takes a
snapshot under the lock and writes it beside the old file, which it replaces at once.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from arriero.rehearse.azure.answers import Document
from arriero.rehearse.azure.runs import GroupRun
from arriero.rehearse.azure.secrets import Seal

_REST_SECONDS = 0.1


@dataclass
class Operation:
    """A long-running operation: `ready_at` (seconds since the epoch) is when it may end, `kind` put, delete or gone."""

    key: str
    kind: str
    ready_at: float
    is_done: bool = False
    error: dict[str, str] | None = None


@dataclass
class State:
    """`resources` by lower-case id, as last put, with their read-only members; `runs` are the groups' containers.

    `secrets` are those of vaults, by vault and name, their versions oldest first. `spares` are the container groups
    that standby pools hold ready, each with its pool and revision; `pool_troubles` say why a pool makes none, and until
    when. `shapes` are container apps in the words of groups, made anew with every start (`apps.py`).
    """

    file: Path
    seal: Seal
    resources: dict[str, Document] = field(default_factory=dict)
    runs: dict[str, GroupRun] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    creates: dict[str, list[float]] = field(default_factory=dict)
    leaving: list[str] = field(default_factory=list)
    shapes: dict[str, Document] = field(default_factory=dict)
    secrets: dict[str, list[Document]] = field(default_factory=dict)
    spares: dict[str, Document] = field(default_factory=dict)
    pool_troubles: dict[str, Document] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        self._dirty, self._ending = threading.Event(), threading.Event()
        self._writer = threading.Thread(target=self._write_on, name="azure snapshots", daemon=True)
        if self.file.exists():
            self._load(json.loads(self.file.read_text()))

    def start(self) -> None:
        self._writer.start()

    def stop(self) -> None:
        """Writes what is not written yet."""
        self._ending.set()
        self._dirty.set()
        if self._writer.is_alive():
            self._writer.join()
        self._write()

    def changed(self) -> None:
        self._dirty.set()

    def under(self, key: str) -> list[str]:
        """The keys of a resource and of all below it."""
        return [found for found in self.resources if found == key or found.startswith(f"{key}/")]

    def _write_on(self) -> None:
        while not self._ending.is_set():
            self._dirty.wait()
            self._dirty.clear()
            self._ending.wait(_REST_SECONDS)  # changes come in bursts: one snapshot for each
            self._write()

    def _write(self) -> None:
        with self.lock:
            text = json.dumps(self._snapshot())
        fresh = self.file.with_suffix(".new")
        fresh.touch(0o600)
        fresh.write_text(text)
        fresh.replace(self.file)

    def _snapshot(self) -> dict[str, Any]:
        return {
            "resources": self.seal.seal(self.resources),
            "runs": {key: run.as_json() for key, run in self.runs.items()},
            "operations": {name: asdict(operation) for name, operation in self.operations.items()},
            "creates": self.creates,
            "leaving": self.leaving,
            "secrets": self.seal.seal(self.secrets),
            "spares": self.spares,
        }

    def _load(self, saved: dict[str, Any]) -> None:
        self.resources = self.seal.unseal(saved["resources"])
        self.runs = {key: GroupRun.of(run) for key, run in saved["runs"].items()}
        self.operations = {name: Operation(**one) for name, one in saved["operations"].items()}
        self.creates = saved["creates"]
        self.leaving = saved["leaving"]
        self.secrets = self.seal.unseal(saved.get("secrets", {}))
        self.spares = saved.get("spares", {})
