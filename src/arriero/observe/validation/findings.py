"""What a validation found: one Finding for each thing that was looked at, and the speeds that were measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from arriero.events import Json

Verdict = Literal["passed", "failed", "skipped"]
GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `place` is a site's name or `gateway`; `target` is empty where the whole place was looked at."""

    place: str
    target: str
    check: str
    verdict: Verdict
    found: str
    seconds: float = 0.0

    def as_json(self) -> dict[str, Json]:
        return {**asdict(self), "seconds": round(self.seconds, 3)}


@dataclass(frozen=True, slots=True)
class Speed:
    """The median of a model's answers at one place, the model being in memory; 0 tokens a second: too few to tell."""

    first_token_seconds: float
    tokens_per_second: float

    def as_json(self) -> dict[str, Json]:
        return {
            "first_token_seconds": round(self.first_token_seconds, 4),
            "tokens_per_second": round(self.tokens_per_second, 2),
        }


# By place, then by model.
Speeds = Mapping[str, Mapping[str, Speed]]


def speeds_from_json(data: Mapping[str, Any]) -> Speeds:
    """Raises KeyError, TypeError or ValueError for what `speeds_as_json` did not write."""
    return {
        str(place): {
            str(model): Speed(float(each["first_token_seconds"]), float(each["tokens_per_second"]))
            for model, each in models.items()
        }
        for place, models in data.items()
    }


def speeds_as_json(speeds: Speeds) -> dict[str, Json]:
    return {place: {model: each.as_json() for model, each in models.items()} for place, models in speeds.items()}


@dataclass(frozen=True, slots=True)
class Validation:
    """All that was found, in the order it is read; good if nothing failed and something was looked at."""

    service: str
    release: int | None
    findings: tuple[Finding, ...]
    speeds: Speeds = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict == "failed")

    @property
    def is_good(self) -> bool:
        return not self.failed and any(finding.verdict == "passed" for finding in self.findings)

    def as_json(self) -> dict[str, Json]:
        return {
            "schema": 1,
            "service": self.service,
            "release": self.release,
            "verdict": "good" if self.is_good else "failed",
            "speeds": speeds_as_json(self.speeds),
            "findings": [finding.as_json() for finding in self.findings],
        }
