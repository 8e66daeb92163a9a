"""What a gateway tells of the work that is asked of it, for whoever decides how many targets run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Ended:
    """Requests of one model that are over, counted since the gateway's first process began.

    `held_seconds`: how long they held a target's slot, all together. `received_bytes` are those of their bodies.
    """

    count: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    held_seconds: float = 0.0
    received_bytes: float = 0.0

    def numbers(self) -> list[float]:
        return [self.count, self.tokens_in, self.tokens_out, self.held_seconds, self.received_bytes]

    def __add__(self, other: Ended) -> Ended:
        return Ended(*(a + b for a, b in zip(self.numbers(), other.numbers(), strict=True)))

    def __sub__(self, other: Ended) -> Ended:
        return Ended(*(a - b for a, b in zip(self.numbers(), other.numbers(), strict=True)))


ENDED_WIDTH = len(fields(Ended))


@dataclass(frozen=True, slots=True)
class Pending:
    """Requests of one model that are not over: `open` at targets, and `waiting` for one."""

    open: int = 0
    open_bytes: int = 0
    waiting: int = 0
    waiting_bytes: int = 0

    def __add__(self, other: Pending) -> Pending:
        return Pending(
            self.open + other.open,
            self.open_bytes + other.open_bytes,
            self.waiting + other.waiting,
            self.waiting_bytes + other.waiting_bytes,
        )


SiteSpeeds = Mapping[str, Mapping[str, float]]
"""Tokens a second of one stream, by site, then by model; only what was measured."""


@dataclass(frozen=True, slots=True)
class GatewayLoad:
    """By model, of all the gateway's processes together; `speeds` as they were measured lately."""

    ended: Mapping[str, Ended]
    pending: Mapping[str, Pending]
    speeds: SiteSpeeds = field(default_factory=dict)

    @property
    def open(self) -> int:
        return sum(each.open for each in self.pending.values())

    @property
    def waiting(self) -> int:
        return sum(each.waiting for each in self.pending.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "ended": {model: asdict(each) for model, each in self.ended.items()},
            "pending": {model: asdict(each) for model, each in self.pending.items()},
            "speeds": {site: dict(each) for site, each in self.speeds.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GatewayLoad:
        ended = {str(model): Ended(**each) for model, each in data["ended"].items()}
        pending = {str(model): Pending(**each) for model, each in data["pending"].items()}
        speeds = {
            str(site): {str(model): float(pace) for model, pace in each.items()}
            for site, each in data.get("speeds", {}).items()
        }
        return cls(ended, pending, speeds)


def together(loads: Iterable[GatewayLoad]) -> GatewayLoad:
    """The workers' as one: what is over, each of them counts for all, what is pending only its own. Of speeds one of
    them knows as much as another.
    """
    ended: Mapping[str, Ended] = {}
    pending: dict[str, Pending] = {}
    speeds: dict[str, Mapping[str, float]] = {}
    for load in loads:
        speeds |= load.speeds
        ended = load.ended
        for model, each in load.pending.items():
            pending[model] = pending.get(model, Pending()) + each
    return GatewayLoad(ended, pending, speeds)
