"""Figures of load that somebody planted on the stage: the emulated CloudWatch and Azure Monitor answer with them.

`metrics/<service>-<site>.json` in the stage's folder: `{"start": "2026-11-01T00:00:00Z", "step": 300, "cpu": [percent,
…], "memory": [percent, …]}`. Read anew at every question; a site without a file has no figures, as a new one has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Planted:
    """Samples of one site, `step_seconds` apart from `start` on."""

    start: datetime
    step_seconds: float
    cpu: tuple[float, ...]
    memory: tuple[float, ...]

    def between(self, kind: str, start: datetime, end: datetime, period: float) -> Iterator[tuple[datetime, float]]:
        """The mean of each period (its beginning is its time) that holds samples."""
        sums: dict[float, list[float]] = {}
        for index, value in enumerate(self.cpu if kind == "cpu" else self.memory):
            at = self.start + timedelta(seconds=index * self.step_seconds)
            if start <= at < end:
                moment = at.timestamp()
                sums.setdefault(moment - moment % period, []).append(value)
        for moment, values in sums.items():
            yield datetime.fromtimestamp(moment, start.tzinfo), sum(values) / len(values)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is planted in the stage's `folder`."""

    folder: Path

    def of(self, name: str) -> Planted | None:
        """By `<service>-<site>`; None where nothing was planted."""
        file = self.folder / "metrics" / f"{Path(name).name}.json"
        if not file.exists():
            return None
        told = json.loads(file.read_text())
        start = datetime.fromisoformat(told["start"])
        return Planted(start, float(told["step"]), tuple(told["cpu"]), tuple(told["memory"]))
