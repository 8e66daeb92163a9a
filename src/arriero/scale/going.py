"""A site's targets without those that were told to go, for where the cloud counts them until they are gone.

Who is told to go has no requests and gets none. Would it count, a request that comes now would find it as one that may
stay after all, and be sent to a server that ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from arriero.clouds.scaling import Require, Standing
from arriero.scale.controller import Fleet

# Container Instances give a stopping group 30 s. One that runs on long after that did not hear, and is told again.
LINGER_SECONDS = 120.0


@dataclass
class Parting:
    """A fleet that remembers whom it told to go. `monotonic` tells seconds. `read` may be asked in another thread."""

    fleet: Fleet
    monotonic: Callable[[], float]
    _until: dict[str, float] = field(default_factory=dict)

    def read(self) -> Standing:
        standing = self.fleet.read()
        if not standing.lingers or not self._until:
            return standing
        now, told = self.monotonic(), self._until
        staying = tuple(target for target in standing.targets if told.get(target.id, now) <= now)
        going = len(standing.targets) - len(staying)
        return replace(standing, count=max(0, standing.count - going), targets=staying)

    def start(self, standing: Standing, more: int, require: Require) -> Sequence[str]:
        names = self.fleet.start(standing, more, require)
        self._until = {name: end for name, end in self._until.items() if name not in names}
        return names

    def stop(self, standing: Standing, leaving: Sequence[str], require: Require) -> None:
        self.fleet.stop(standing, leaving, require)
        now = self.monotonic()
        before = {name: end for name, end in self._until.items() if now < end}
        self._until = {**before, **dict.fromkeys(leaving, now + LINGER_SECONDS)}
