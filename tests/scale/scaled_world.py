"""A small world for the loop that scales: two sites, a gateway that sees them, rights, and a clock moved by hand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from arriero.clock import ManualClock
from arriero.clouds.scaling import Require, Standing
from arriero.control.client import GatewayError
from arriero.control.load import GatewayLoad, Pending
from arriero.control.messages import GatewayStatus, TargetStatus, Weights
from arriero.errors import CloudError, Problem
from arriero.events import Event
from arriero.plan.model import TargetFacts
from arriero.releases.turns import NotNow
from arriero.scale.controller import LOOK_SECONDS, Controller, Memory
from arriero.scale.telling import Report
from arriero.spec.model import Spec


@dataclass
class Cloud:
    """One site: `running` answer at once, unless there is trouble, which the next writes meet. Of those that are `spot`
    some may be `taken`; `covering` stand in for them, in no count.
    """

    site: str
    running: list[str]
    creates: bool = False
    trouble: list[Exception] = field(default_factory=list)
    unread: str = ""
    gate: threading.Event | None = None
    dies_after_write: bool = False
    made: int = 0
    writes: list[str] = field(default_factory=list)
    spot: set[str] = field(default_factory=set)
    zones: dict[str, str] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    covering: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.running) + len(self.taken)

    def take_spot(self) -> None:
        self.taken = [name for name in self.running if name in self.spot]
        self.running = [name for name in self.running if name not in self.spot]

    def give_spot(self) -> None:
        self.running, self.taken = self.running + self.taken, []

    def stand_in(self, more: int, require: Require) -> Sequence[str]:
        require()
        self._meet()
        names = [f"cover-{len(self.covering) + place}" for place in range(more)]
        self.covering += names
        return names

    def dismiss(self, leaving: Sequence[str], require: Require) -> None:
        require()
        self._meet()
        self.covering = [name for name in self.covering if name not in leaving]

    def read(self) -> Standing:
        if self.gate:
            self.gate.wait(10)
        if self.unread:
            raise CloudError(self.site, Problem(self.unread))
        own, covering = (tuple(map(self._target, names)) for names in (self.running, self.covering))
        taken = len(self.taken)
        return Standing(self.site, self.count, own, creates=self.creates, unplaced=taken, stand_ins=covering, release=1)

    def start(self, standing: Standing, more: int, require: Require) -> Sequence[str]:
        require()
        self._meet()
        names = [f"{self.site}-new-{self.made + place}" for place in range(more)]
        self.made += more
        self.running += names
        self.writes.append(f"out {standing.count} to {standing.count + more}")
        if self.dies_after_write:
            self.dies_after_write = False
            raise KeyboardInterrupt
        return names

    def stop(self, standing: Standing, leaving: Sequence[str], require: Require) -> None:
        require()
        self._meet()
        self.running = [name for name in self.running if name not in leaving]
        self.writes.append(f"in {standing.count} by {' '.join(leaving)}")

    def _meet(self) -> None:
        if self.trouble:
            raise self.trouble.pop(0)

    def _target(self, name: str) -> TargetFacts:
        is_spot, zone = name in self.spot, self.zones.get(name, "")
        return TargetFacts(name, self.site, "ready", "127.0.0.1:1", 1, is_spot=is_spot, zone=zone)


@dataclass
class Gateway:
    """Sees what the clouds run; keeps the weights that it was told, as a gateway does over a controller's death."""

    clouds: list[Cloud]
    open: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    speeds: dict[str, dict[str, float]] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    is_silent: bool = False

    def status(self) -> GatewayStatus:
        if self.is_silent:
            raise GatewayError(Problem("did not answer"))
        return GatewayStatus(
            "llm", False, 0, tuple(self._target(c.site, name) for c in self.clouds for name in c.running + c.covering)
        )

    def load(self) -> GatewayLoad:
        taken = sum(self.open.values())
        pending = {"m": Pending(taken, 0, self.waiting, 0)} if taken or self.waiting else {}
        return GatewayLoad({}, pending, self.speeds)

    def drain(self, *targets: str) -> None:
        self.weights |= dict.fromkeys(targets, 0)

    def set_weights(self, weights: Weights) -> None:
        self.weights |= weights.by_target

    def _target(self, site: str, name: str) -> TargetStatus:
        weight = self.weights.get(name, 100)
        state: Any = "up" if weight else "draining"
        return TargetStatus(name, site, "127.0.0.1:1", state, "active", 1, weight, self.open.get(name, 0))


@dataclass
class Lease:
    left: float = 30.0

    def require(self, seconds: float = 0.0) -> None:
        assert seconds <= self.left


@dataclass
class Rights:
    """`why` not; `one` may be in a turn at a time."""

    why: str = ""
    turns: int = 0
    asked: int = 0
    rested: int = 0
    one: threading.Lock = field(default_factory=threading.Lock)

    def objection(self) -> str:
        self.asked += 1
        return self.why

    def rest(self) -> None:
        self.rested += 1

    @contextmanager
    def turn(self) -> Iterator[Any]:
        if not self.one.acquire(blocking=False):
            raise NotNow(Problem("somebody deploys"))
        try:
            self.turns += 1
            yield Lease()
        finally:
            self.one.release()


@dataclass
class World:
    """Two sites of 1 to 4 targets, the second one dearer."""

    more: dict[str, Any] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=ManualClock)
    told: list[Event] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    rights: Rights = field(default_factory=Rights)
    asleep: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.azure, self.aws = Cloud("azure", ["azure-1"], creates=True), Cloud("aws", ["aws-1"])
        self.gateway = Gateway([self.azure, self.aws])
        self.spec = Spec.model_validate(
            {
                "name": "llm",
                "image": "acme/llm",
                "models": ["m"],
                "scale": {"min": 1, "max": 4, "hold": "60s"},
                "sites": {
                    "azure": {"cloud": "azure", "region": "eastus"},
                    "aws": {"cloud": "aws", "region": "us-east-1"},
                },
                **self.more,
            }
        )
        self.controller = self.begin()

    def begin(self, memory: Memory | None = None) -> Controller:
        return Controller(
            self.spec,
            {"azure": self.azure, "aws": self.aws},
            self.rights,
            self.clock,
            memory or Memory(),
            lambda _: self.asleep,
            self.told.append,
            self.reports.append,
            covers={"aws": self.aws},
        )

    def rounds(self, count: int, controller: Controller | None = None) -> None:
        for _ in range(count):
            (controller or self.controller).look(self.gateway)
            self.clock.sleep(LOOK_SECONDS)

    @property
    def counts(self) -> tuple[int, int]:
        return len(self.azure.running), len(self.aws.running)

    def last_report(self) -> Report:
        return self.reports[-1]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.told]


def busy(world: World) -> None:
    """Streams at all slots, and a line that does not get shorter."""
    world.gateway.open = dict.fromkeys([*world.azure.running, *world.aws.running], 4)
    world.gateway.waiting = 24


def calm(world: World) -> None:
    world.gateway.open, world.gateway.waiting = {}, 0


def grown() -> World:
    world = World()
    for _ in range(40):
        busy(world)
        world.rounds(1)
    return world
