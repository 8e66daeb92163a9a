"""A container's health as Docker and ECS count it; pure: outcomes of probes in, HEALTHY or UNHEALTHY out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FIRST_PROBES_SECONDS = 0.25
_LONGEST_INTERVAL_SECONDS = 2.0


@dataclass(slots=True)
class Health:
    """One container's health. Times are seconds of a monotonic clock.

    A failure inside the start period counts only after a success; `retries` failures in a row make it unhealthy. On the
    stage, intervals and start periods pass `pace` times as fast as written.
    """

    interval: float
    retries: int
    start_period: float
    started_at: float
    next_at: float
    status: str = "UNKNOWN"
    failures: int = 0

    @classmethod
    def of(cls, check: Mapping[str, Any], now: float, pace: float) -> Health:
        """From the healthCheck of a container definition, with the defaults of the ECS API."""
        interval = min((check.get("interval") or 30) / pace, _LONGEST_INTERVAL_SECONDS)
        start_period = (check.get("startPeriod") or 0) / pace
        return cls(interval, check.get("retries") or 3, start_period, started_at=now, next_at=now)

    def is_due(self, now: float) -> bool:
        return now >= self.next_at

    def postpone(self, now: float) -> None:
        """A probe is on its way."""
        self.next_at = now + (self.interval if self.status != "UNKNOWN" else min(self.interval, _FIRST_PROBES_SECONDS))

    def count(self, *, answered: bool, now: float) -> None:
        if answered:
            self.status, self.failures = "HEALTHY", 0
            return
        if self.status == "UNKNOWN" and now < self.started_at + self.start_period:
            return
        self.failures += 1
        if self.failures >= self.retries:
            self.status = "UNHEALTHY"
