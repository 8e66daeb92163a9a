"""What happened: the one form in which both halves of the program tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened at a site (or to the whole service, `site=""`).

    `kind` is `noun.verb`: deployment.started, step.started, step.progress, step.skipped, step.finished, step.failed,
    site.finished, site.failed, edge.started, deployment.finished.
    """

    kind: str
    at: datetime
    site: str = ""
    fields: Mapping[str, Json] = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        return {"schema": 1, "event": self.kind, "at": self.at.isoformat(), "site": self.site, **self.fields}


Listener = Callable[[Event], None]


def ignore(_: Event) -> None:
    """The listener of those who do not listen."""
