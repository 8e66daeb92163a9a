"""What is usual to decide how many run, and a bound. Ours is in `ours.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from arriero.control.load import GatewayLoad


@dataclass(frozen=True, slots=True)
class Sight:
    """What a policy is shown: targets that run or start, those that answer, requests that wait for a place; `told` is
    what the gateway tells of its load, for a policy that wants it.
    """

    now: float
    count: int
    ready: int
    waiting: int
    told: GatewayLoad | None = None


class Scaling:
    """Asked each `seconds` for the count from now on; begins with `start`."""

    seconds = 60.0
    start = 2
    wants_told = False

    def wanted(self, sight: Sight) -> int:  # noqa: ARG002
        """Overridden by those that change anything."""
        return self.start

    def came(self, now: float, prompt: int) -> None:
        """A request, with so many tokens."""

    def ended(self, tokens: int) -> None:
        """An answer is whole, with so many tokens."""

    def minute(self, used: float) -> None:
        """A minute has passed, in which the targets' processors were busy for this part, in the mean."""


class Fixed(Scaling):
    """As many all the time."""

    def __init__(self, count: int) -> None:
        self.start = count


class CpuTracking(Scaling):
    """ECS target tracking: out after three minutes above `target`, in after fifteen below nine tenths of it."""

    def __init__(self, target: float, least: int, most: int, out_cooldown: float, in_cooldown: float) -> None:
        self.start, self._target, self._least, self._most = least, target, least, most
        self._cooldown = out_cooldown, in_cooldown
        self._points: deque[float] = deque(maxlen=15)
        self._until = [0.0, 0.0]
        self._count = least

    def minute(self, used: float) -> None:
        self._points.append(used)

    def wanted(self, sight: Sight) -> int:
        points, now = list(self._points), sight.now
        if len(points) >= 3 and min(points[-3:]) > self._target and now >= self._until[0]:
            wished = min(self._most, ceil(sight.ready * points[-1] / self._target))
            if wished > self._count:
                self._count, self._until[0] = wished, now + self._cooldown[0]
        elif len(points) == 15 and max(points) < 0.9 * self._target and now >= max(self._until):
            wished = max(self._least, ceil(self._count * max(points[-1], 0.01) / self._target))
            if wished < self._count:
                self._count, self._until[1] = wished, now + self._cooldown[1]
        return self._count


class RequestRate(Scaling):
    """A window of requests a second, as SkyServe has it: a minute's mean, with a delay for each direction."""

    seconds = 20.0

    def __init__(self, per_target: float, least: int, most: int, out_delay: float, in_delay: float) -> None:
        self.start, self._per_target, self._least, self._most = least, per_target, least, most
        self._delays = out_delay, in_delay
        self._times: deque[float] = deque()
        self._above = self._below = 0.0
        self._count = least

    def came(self, now: float, prompt: int) -> None:  # noqa: ARG002
        self._times.append(now)

    def wanted(self, sight: Sight) -> int:
        while self._times and self._times[0] < sight.now - 60.0:
            self._times.popleft()
        wished = min(self._most, max(self._least, ceil(len(self._times) / 60.0 / self._per_target)))
        self._above = self._above + self.seconds if wished > self._count else 0.0
        self._below = self._below + self.seconds if wished < self._count else 0.0
        if self._above >= self._delays[0] or self._below >= self._delays[1]:
            self._count, self._above, self._below = wished, 0.0, 0.0
        return self._count


class Clairvoyant(Scaling):
    """Knows each request beforehand: a bound, not a policy. It starts what a window needs one start ahead, and keeps
    what is needed again before a new start would be through.
    """

    seconds = 10.0

    def __init__(
        self, windows: Sequence[float], window: float, start_seconds: float, least: int, most: int, utilisation: float
    ) -> None:
        self._needs = [min(most, max(least, ceil(work / utilisation - 1e-6))) for work in windows]
        self._window, self._ahead = window, start_seconds * 1.4
        self.start = max(self._needs[:4])

    def wanted(self, sight: Sight) -> int:
        first, last = int(sight.now / self._window), int((sight.now + self._ahead) / self._window)
        return max(self._needs[first : last + 1], default=self._needs[-1])
