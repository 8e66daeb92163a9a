"""How much may be tried again: a budget for retries, a breaker a target. Pure."""

from __future__ import annotations

from collections import deque

SHARE = 0.1
# So that a gateway with little traffic can still leave a target that failed: this many at once, back within a minute.
FLOOR, FLOOR_SECONDS = 16.0, 60.0
SAVED_LIMIT = 200.0

WINDOW_SECONDS = 30.0
FAILURES_LIMIT = 16
OPEN_SECONDS, OPEN_SECONDS_LIMIT = 1.0, 30.0
# A probe that is never heard of again must not keep the breaker open.
PROBE_SECONDS = 60.0


class Budget:
    """Each request saves a tenth of a retry, up to SAVED_LIMIT; each retry spends one. Beside that a small floor."""

    __slots__ = ("_at", "_floor", "_saved")

    def __init__(self) -> None:
        self._saved, self._floor, self._at = 0.0, FLOOR, 0.0

    def save(self) -> None:
        """A request came."""
        saved = self._saved + SHARE
        self._saved = saved if saved < SAVED_LIMIT else SAVED_LIMIT

    def spend(self, now: float) -> bool:
        """False when the budget is used up: then nothing may be tried again now."""
        self._floor = min(FLOOR, self._floor + (now - self._at) * FLOOR / FLOOR_SECONDS)
        self._at = now
        if self._saved >= 1.0:
            self._saved -= 1.0
        elif self._floor >= 1.0:
            self._floor -= 1.0
        else:
            return False
        return True


class Breaker:
    """Counts a target's 5xx over a window. Open: others first, twice as long with each further failure in the window.

    After that one request goes there to see (half open): if it is answered the breaker closes.
    """

    __slots__ = ("_failures", "_open_until", "_probe_until")

    def __init__(self) -> None:
        self._failures: deque[float] = deque(maxlen=FAILURES_LIMIT)
        self._open_until = self._probe_until = 0.0

    def is_open(self, now: float) -> bool:
        """Others should be asked first."""
        return now < self._open_until or now < self._probe_until

    @property
    def until(self) -> float:
        """When others need no longer be asked first; in the past while it waits for the request that sees."""
        return max(self._open_until, self._probe_until)

    @property
    def is_closed(self) -> bool:
        """It has not failed since it was last answered."""
        return not self._open_until

    def asked(self, now: float) -> None:
        """A request goes there. The first one after the open time is the one that sees how it is."""
        if self._open_until and not self.is_open(now):
            self._probe_until = now + PROBE_SECONDS

    def failed(self, now: float) -> None:
        failures = self._failures
        failures.append(now)
        while now - failures[0] > WINDOW_SECONDS:
            failures.popleft()
        self._open_until = now + min(OPEN_SECONDS * 2.0 ** (len(failures) - 1), OPEN_SECONDS_LIMIT)
        self._probe_until = 0.0

    def answered(self, sent_at: float) -> None:
        """A request that was sent then was answered: it closes, unless it has failed since.

        The failures in the window stay: one that fails half of the time is not whole.
        """
        if not self._failures or sent_at >= self._failures[-1]:
            self._open_until = self._probe_until = 0.0
