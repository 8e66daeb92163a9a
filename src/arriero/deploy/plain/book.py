"""What the inventory read before it planned: by this the role knows, under the lease, whether the plan still holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arriero.deploy.project import Project
from arriero.events import Json


@dataclass(frozen=True, slots=True)
class Book:
    """`epoch` and `last` are the ledger's as the inventory read it; `release` is what its plan leads to.

    `back_to` is what rollback.yml was asked for, or empty.
    """

    spec: str
    overlay: str | None
    back_to: str
    release: int
    epoch: int
    last: int

    def as_json(self) -> Mapping[str, Json]:
        return asdict(self)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Book:
        return cls(**{name: told[name] for name in cls.__slots__})

    @property
    def project(self) -> Project:
        return Project(Path(self.spec), self.overlay)


def folder(spec: Path, player: int) -> Path:
    """Where the keeper of one playbook writes; `player` is the process that plays it."""
    return Project(spec).state / "plain" / str(player)
