"""Time as a value that is handed in, so that no test has to wait for it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def timestamp(self) -> float:
        """The wall clock, in seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    # The system's own functions: a gateway asks a dozen times a request.
    timestamp = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class ManualClock:
    """A clock that moves only when it is told to; `sleep` moves it at once."""

    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    elapsed_seconds: float = field(default=0.0)

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.elapsed_seconds)

    def timestamp(self) -> float:
        return self.now().timestamp()

    def monotonic(self) -> float:
        return self.elapsed_seconds

    def sleep(self, seconds: float) -> None:
        self.elapsed_seconds += seconds


class Stamps:
    """Moments as ISO 8601 text with milliseconds; what they share within a second is written once."""

    def __init__(self) -> None:
        self._second, self._text = -1, ""

    def text(self, timestamp: float) -> str:
        """`timestamp` in seconds since 1970."""
        second = int(timestamp)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{int((timestamp - second) * 1000):03d}+00:00"
