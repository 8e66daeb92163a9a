"""What the deploying half says to a gateway, and what it hears: frozen values with a JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """One Ollama server the gateway may use. `weight` 0 stops new requests there (draining)."""

    id: str
    site: str
    address: str
    role: Literal["active", "standby"] = "active"
    release: int | None = None
    weight: int = 100


@dataclass(frozen=True, slots=True)
class Targets:
    """The whole list of targets, replacing the former one; what is left out is drained and forgotten."""

    entries: tuple[TargetEntry, ...]

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, "targets": [asdict(entry) for entry in self.entries]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Targets:
        return cls(tuple(TargetEntry(**entry) for entry in data["targets"]))
