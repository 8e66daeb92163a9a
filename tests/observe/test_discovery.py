"""The list of targets stays true, whatever the clouds' APIs do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from arriero.clock import ManualClock
from arriero.control.client import GatewayError
from arriero.control.messages import TargetEntry, Targets
from arriero.errors import CloudError, Problem
from arriero.events import Event
from arriero.observe.discovery import Discovery, SiteReader, entries, keep
from arriero.plan.model import TargetFacts


@dataclass
class Cloud:
    """One site's API: gives what it is told to, or fails."""

    site: str
    targets: list[TargetFacts] = field(default_factory=list)
    error: str = ""
    gate: threading.Event | None = None
    reads: int = 0

    def read(self) -> Sequence[TargetFacts]:
        self.reads += 1
        if self.gate:
            self.gate.wait(10)
        if self.error:
            raise CloudError(self.site, Problem(self.error))
        return list(self.targets)


@dataclass
class Edge:
    """A gateway that remembers what it was told."""

    has: Targets = field(default_factory=lambda: Targets(()))
    pushes: int = 0
    error: str = ""

    def targets(self) -> Targets:
        if self.error:
            raise GatewayError(Problem(self.error))
        return self.has

    def set_targets(self, targets: Targets) -> None:
        self.has = targets
        self.pushes += 1

    @property
    def ids(self) -> list[str]:
        return [entry.id for entry in self.has.entries]


def fact(name: str, site: str = "east", state: str = "ready", address: str = "127.0.0.1:1") -> TargetFacts:
    return TargetFacts(name, site, state, address, release=2)  # type: ignore[arg-type]


def discovery_of(*clouds: Cloud, told: list[Event] | None = None) -> Discovery:
    readers = [SiteReader(cloud.site, cloud.read) for cloud in clouds]
    return Discovery(readers, ManualClock(), told.append if told is not None else lambda _: None)


def test_a_change_is_pushed_once() -> None:
    cloud, edge = Cloud("east", [fact("a")]), Edge()
    looking = discovery_of(cloud)
    assert [looking.look(edge) for _ in range(3)] == [True, False, False]
    assert edge.has == Targets((TargetEntry("a", "east", "127.0.0.1:1", "active", 2, 100, 4),))
    cloud.targets = [fact("a"), fact("b")]
    assert [looking.look(edge) for _ in range(2)] == [True, False]
    assert (edge.ids, edge.pushes) == (["a", "b"], 2)


def test_the_same_targets_in_another_order_are_no_change() -> None:
    cloud, edge = Cloud("east", [fact("b"), fact("a")]), Edge()
    looking = discovery_of(cloud)
    looking.look(edge)
    cloud.targets.reverse()
    assert not looking.look(edge)


def test_a_site_that_cannot_be_read_keeps_its_targets_and_says_so_once() -> None:
    told: list[Event] = []
    east, west, edge = Cloud("east", [fact("a")]), Cloud("west", [fact("b", "west")]), Edge()
    looking = discovery_of(east, west, told=told)
    looking.look(edge)
    west.error, east.targets = "the region is down", [fact("c")]
    assert looking.look(edge)
    assert not looking.look(edge)
    assert edge.ids == ["c", "b"]
    unread = [event.fields["text"] for event in told if event.kind == "site.unread"]
    assert unread == ["the region is down; its targets stay in use as they were"]
    west.error, west.targets = "", []
    looking.look(edge)
    assert edge.ids == ["c"]


def test_a_new_loop_takes_over_what_the_gateway_has() -> None:
    edge = Edge(Targets((TargetEntry("b", "west", "h:1"), TargetEntry("x", "gone", "h:2"))))
    looking = discovery_of(Cloud("east", [fact("a")]), Cloud("west", error="no credentials"))
    looking.look(edge)
    assert edge.ids == ["a", "b"]


def test_a_gateway_that_lost_its_list_gets_it_again() -> None:
    edge = Edge()
    looking = discovery_of(Cloud("east", [fact("a")]))
    looking.look(edge)
    edge.has = Targets(())
    assert looking.look(edge)
    assert edge.ids == ["a"]


def test_a_read_that_hangs_holds_up_no_other_site() -> None:
    gate = threading.Event()
    slow, quick, edge = Cloud("slow", [fact("s", "slow")], gate=gate), Cloud("quick", [fact("q", "quick")]), Edge()
    looking = discovery_of(slow, quick)
    looking.patience_seconds = 0.05
    for _ in range(3):
        looking.look(edge)
    assert (edge.ids, slow.reads, quick.reads) == (["q"], 1, 3)
    gate.set()
    looking.patience_seconds = 10.0
    looking.look(edge)
    assert edge.ids == ["s", "q"]
    looking.close()


def test_only_targets_with_an_address_that_have_not_stopped_are_entered() -> None:
    facts = [
        fact("starting", state="starting"),
        fact("nowhere", state="starting", address=""),
        fact("loading", state="loading"),
        fact("draining", state="draining"),
        fact("stopped", state="stopped"),
    ]
    made = entries(SiteReader("east", list, "standby", slots=8, cost=0.25, is_writable=True), facts)
    assert {(entry.cost, entry.is_writable) for entry in made} == {(0.25, True)}
    assert [(entry.id, entry.weight, entry.role, entry.slots) for entry in made] == [
        ("draining", 0, "standby", 8),
        ("loading", 100, "standby", 8),
        ("starting", 100, "standby", 8),
    ]


def rounds(count: int) -> Callable[[], bool]:
    left = iter(range(count))
    return lambda: next(left, None) is None


def test_the_loop_waits_for_a_gateway_and_says_once_that_it_is_silent() -> None:
    told: list[Event] = []
    edge, clock = Edge(error="did not answer"), ManualClock()
    looking = discovery_of(Cloud("east", [fact("a")]), told=told)
    keep(looking, lambda: None, clock, rounds(2))
    keep(looking, lambda: edge, clock, rounds(3))
    assert [event.kind for event in told] == ["edge.silent"]
    edge.error = ""
    keep(looking, lambda: edge, clock, rounds(1))
    assert edge.ids == ["a"]
    assert clock.elapsed_seconds == 12.0


def test_what_may_be_started_is_told_with_the_list() -> None:
    cloud, edge, models = Cloud("east"), Edge(), ["m:latest"]
    looking = discovery_of(cloud)
    looking.wakes = lambda: models
    assert [looking.look(edge) for _ in range(2)] == [True, False]
    assert edge.has == Targets((), ("m:latest",))
    models.clear()
    assert [looking.look(edge) for _ in range(2)] == [True, False]
    assert edge.has == Targets(())
