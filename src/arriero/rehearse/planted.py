"""What somebody planted on the stage: figures of load, with which the emulated CloudWatch and Azure Monitor answer, and
lines of containers, which the emulated Log Analytics has among those that came to it; and records of users' DNS, which
Front Doors look for.

`metrics/<service>-<site>.json` in the stage's folder: `{"start": "2026-11-01T00:00:00Z", "step": 300, "cpu": [percent,
…], "memory": [percent, …]}`, and `lines/<service>-<site>.jsonl` with one line of a container in each: `{"at":
"2026-11-01T00:00:00Z", "group": …, "container": …, "text": …}`. Read anew at every question; a site without a file has
none, as a new one.

`records.json` stands for users' DNS: the text of TXT records by their names, `{"_dnsauth.llm.example.com": "…"}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
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
        for at, values in self.samples(kind, start, end, period).items():
            yield at, sum(values) / len(values)

    def samples(self, kind: str, start: datetime, end: datetime, period: float) -> Mapping[datetime, list[float]]:
        """By the beginning of each period that holds any; planted closer than a minute, several fall into one."""
        values = self.cpu if kind == "cpu" else self.memory
        times = (self.start + timedelta(seconds=index * self.step_seconds) for index in range(len(values)))
        return by_period(zip(times, values, strict=True), start, end, period)


@dataclass(frozen=True, slots=True)
class PlantedLine:
    """What a container is to have written then."""

    at: datetime
    group: str
    container: str
    text: str


def by_period(
    points: Iterable[tuple[datetime, float]], start: datetime, end: datetime, period: float
) -> Mapping[datetime, list[float]]:
    """The points from `start` until before `end`, by the beginning of their period of so many seconds."""
    found: dict[float, list[float]] = {}
    for at, value in points:
        if start <= at < end:
            moment = at.timestamp()
            found.setdefault(moment - moment % period, []).append(value)
    return {datetime.fromtimestamp(moment, start.tzinfo): values for moment, values in found.items()}


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

    def lines(self, name: str) -> list[PlantedLine]:
        """By `<service>-<site>`; none where nothing was planted."""
        file = self.folder / "lines" / f"{Path(name).name}.jsonl"
        told = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [PlantedLine(datetime.fromisoformat(row.pop("at")), **row) for row in told]

    def text_record(self, name: str) -> str | None:
        """What the TXT record of that name says; None where there is none."""
        file = self.folder / "records.json"
        told = json.loads(file.read_text()) if file.exists() else {}
        found = told.get(name)
        return str(found) if found is not None else None
