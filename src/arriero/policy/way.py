"""One way into a site's targets, as a check tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Way:
    """`through` names what lets it in, from outside to inside."""

    site: str
    sources: str
    ports: str
    through: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.site}: {self.sources} may reach {self.ports} through {', '.join(self.through)}"

    def as_json(self) -> Mapping[str, object]:
        return {"site": self.site, "sources": self.sources, "ports": self.ports, "through": list(self.through)}
