"""What the stage and its emulated clouds say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

FaultKind = Literal[
    "kill", "freeze", "slow", "refuse", "throttle", "evict", "no-spot",
    "lose", "zone", "storm", "slow-storage", "no-images", "no-objects", "skew",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault on purpose at one region of one cloud, until `until` (seconds since the epoch; None: at once and over).

    kill, freeze, slow and evict reach server processes (`target` limits them to one); refuse makes the region's API and
    its servers unreachable; throttle makes its API answer 429. evict takes back what may be, after a warning: of Spot
    tasks (in `zone`, if one is named) a `share`; with no-spot no new one is to be had meanwhile.

    lose is a region that is gone: its servers are killed, nothing starts, its API, storage, registry and vault don't
    answer. zone kills what runs in one zone, where nothing starts then; storm takes half of the servers back, as Spot
    does; with slow-storage whoever mounts a file system gets a fifth of its time; with no-images nothing can be pulled;
    no-objects makes the region's object store refuse; with skew the clouds find the caller's clock twenty minutes off.
    """

    cloud: str
    region: str
    kind: FaultKind
    target: str = ""
    until: float | None = None
    share: float = 1.0
    zone: str = ""


@dataclass(frozen=True, slots=True)
class ContainerRow:
    """One server process as the stage knows it: for `status` (pid, engine) and for tests."""

    target: str
    container: str
    cloud: str
    region: str
    address: str
    pid: int
    engine: Literal["ollama", "simulated"]


class Emulator(Protocol):
    """One emulated cloud inside the stage's process."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Stops serving and every server process; what was created stays on disk for the next start."""

    def environment(self) -> Mapping[str, str]:
        """The variables that lead unmodified SDKs and modules here, stand-in credentials included."""

    def apply(self, fault: Fault) -> list[str]:
        """Plays the fault; returns what it did, one line each."""

    def containers(self) -> list[ContainerRow]: ...
