"""Who was told to go counts no more, though the cloud still shows it."""

from __future__ import annotations

from dataclasses import replace

from scaled_world import Cloud

from arriero.clock import ManualClock
from arriero.clouds.scaling import Require, Standing
from arriero.scale.going import LINGER_SECONDS, Parting


def allowed() -> None:
    """The lease holds."""


class Slow(Cloud):
    """Shows who was told to go until it `ends` them."""

    lingers = True

    def read(self) -> Standing:
        return replace(super().read(), lingers=self.lingers)

    def stop(self, standing: Standing, leaving: object, require: Require) -> None:
        require()

    def ends(self, name: str) -> None:
        self.running.remove(name)


def world(*names: str) -> tuple[Slow, Parting, ManualClock]:
    cloud, clock = Slow("azure", list(names)), ManualClock()
    return cloud, Parting(cloud, clock.monotonic), clock


def shown(fleet: Parting) -> tuple[int, list[str]]:
    standing = fleet.read()
    return standing.count, [target.id for target in standing.targets]


def test_who_was_told_to_go_counts_no_more() -> None:
    cloud, fleet, _ = world("a", "b")
    fleet.stop(fleet.read(), ["a"], allowed)
    assert shown(fleet) == (1, ["b"])
    cloud.ends("a")
    assert shown(fleet) == (1, ["b"])


def test_who_does_not_go_for_long_counts_again() -> None:
    _, fleet, clock = world("a")
    fleet.stop(fleet.read(), ["a"], allowed)
    clock.sleep(LINGER_SECONDS - 1)
    assert shown(fleet) == (0, [])
    clock.sleep(1)
    assert shown(fleet) == (1, ["a"])


def test_who_was_started_again_counts() -> None:
    cloud, fleet, _ = world("azure-new-0")
    fleet.stop(fleet.read(), ["azure-new-0"], allowed)
    cloud.ends("azure-new-0")
    assert list(fleet.start(fleet.read(), 1, allowed)) == ["azure-new-0"]
    assert shown(fleet) == (1, ["azure-new-0"])


def test_where_the_cloud_counts_what_is_asked_for_nothing_is_taken_off() -> None:
    cloud, fleet, _ = world("a", "b")
    cloud.lingers = False
    fleet.stop(fleet.read(), ["a"], allowed)
    assert shown(fleet) == (2, ["a", "b"])
