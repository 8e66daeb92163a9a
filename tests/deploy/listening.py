"""Somebody who listens to a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from arriero.events import Event


@dataclass
class Heard:
    """A listener that remembers."""

    events: list[Event] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, site: str) -> list[str]:
        return [event.kind for event in self.events if event.site == site]
