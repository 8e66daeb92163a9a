"""What CloudWatch is told of the gateway's load, and what happens when it can't be told."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from arriero.clock import ManualClock
from arriero.control.client import GatewayError
from arriero.control.load import GatewayLoad, Pending
from arriero.control.messages import GatewayStatus, TargetStanding, TargetStatus
from arriero.errors import CloudError, Problem
from arriero.events import Event
from arriero.scale.publishing import Publisher, open_requests


def target(name: str, site: str, open_: int, state: TargetStanding = "up") -> TargetStatus:
    return TargetStatus(name, site, "127.0.0.1:1", state, "active", 1, 100, open_)


@dataclass
class Gateway:
    targets: tuple[TargetStatus, ...] = ()
    waiting: int = 0
    is_gone: bool = False

    def status(self) -> GatewayStatus:
        if self.is_gone:
            raise GatewayError("no answer")
        return GatewayStatus("llm", False, 0, self.targets)

    def load(self) -> GatewayLoad:
        return GatewayLoad({}, {"llama2": Pending(waiting=self.waiting)})


@dataclass
class CloudWatch:
    told: list[float] = field(default_factory=list)
    trouble: str = ""

    def tell(self, figure: float) -> None:
        if self.trouble:
            raise CloudError("east", Problem(self.trouble))
        self.told.append(figure)


@pytest.mark.parametrize(
    ("targets", "waiting", "expected"),
    [
        ((target("a", "east", 3), target("b", "east", 1)), 0, 2.0),
        ((target("a", "east", 4), target("b", "east", 4)), 6, 7.0),
        # Two of three answer here, and get two thirds of what waits.
        ((target("a", "east", 2), target("b", "east", 2), target("c", "west", 4)), 6, 4.0),
        # One that does not answer serves nothing, and what is left of its requests is no load of the others.
        ((target("a", "east", 4), target("b", "east", 4, "down")), 0, 4.0),
        ((), 5, 5.0),
        ((target("c", "west", 4),), 6, 0.0),
        ((target("a", "east", 0),), 0, 0.0),
    ],
)
def test_open_and_waiting_requests_are_shared_among_who_answers(
    targets: tuple[TargetStatus, ...], waiting: int, expected: float
) -> None:
    assert open_requests(targets, waiting, "east") == pytest.approx(expected)


def test_a_cloud_that_can_not_be_told_is_named_once_and_told_again_later() -> None:
    events: list[Event] = []
    cloud, clock = CloudWatch(trouble="it throttles"), ManualClock()
    publisher = Publisher({"east": cloud.tell}, clock, events.append)
    gateway = Gateway((target("a", "east", 2),))
    publisher.tell(gateway)
    publisher.tell(gateway)
    cloud.trouble = ""
    publisher.tell(gateway)
    assert cloud.told == [2.0]
    assert [(event.kind, event.site) for event in events] == [("scale.untold", "east")]


def test_it_goes_on_when_the_gateway_comes_back_and_ends_when_it_should() -> None:
    cloud, clock, events = CloudWatch(), ManualClock(), list[Event]()
    gateway = Gateway((target("a", "east", 2),), is_gone=True)
    publisher = Publisher({"east": cloud.tell}, clock, events.append)

    def is_ended() -> bool:
        gateway.is_gone = clock.monotonic() < 30
        return clock.monotonic() >= 60

    publisher.run(lambda: gateway, is_ended)
    assert cloud.told == [2.0]
    assert len(events) == 1
