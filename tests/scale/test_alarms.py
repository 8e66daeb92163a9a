"""How many targets a site has by alerts alone."""

from __future__ import annotations

from arriero.control.alerts import Alert
from arriero.scale.alarms import Alarms, Bounds

BOUNDS = Bounds(least=1, most=6, cooldown_out=60, cooldown_in=300)
WATCHED = ("g-1", "g-2")


class Site:
    def __init__(self, count: int = 2, metrics: tuple[str, ...] = ("cpu",)) -> None:
        self.alarms, self.count, self.metrics = Alarms(), count, metrics

    def tell(self, *rules: str, fired: bool = True) -> None:
        for rule in rules:
            self.alarms.take(Alert(rule, fired))

    def at(self, now: float) -> int:
        """Does what is wished."""
        wish, why = self.alarms.wish("east", now, self.count, WATCHED, self.metrics, BOUNDS)
        if wish != self.count:
            assert why
            self.alarms.stepped("east", now, is_out=wish > self.count)
        self.count = wish
        return wish


def test_nothing_told_is_nothing_done() -> None:
    assert [Site().at(now) for now in (0, 100, 10_000)] == [2, 2, 2]


def test_one_that_is_above_a_goal_is_enough_and_half_as_many_more_start_each_cooldown_while_it_is() -> None:
    site = Site()
    site.tell("g-2-cpu-high")
    assert [site.at(now) for now in (0, 10, 60, 119, 120, 180)] == [3, 3, 5, 5, 6, 6]
    site = Site()
    site.tell("g-2-cpu-high")
    site.at(0)
    site.tell("g-2-cpu-high", fired=False)
    assert site.at(500) == 3


def test_one_fewer_runs_each_cooldown_while_all_are_far_below_and_none_above() -> None:
    site = Site(count=4)
    site.tell("g-1-cpu-low")
    assert site.at(0) == 4
    site.tell("g-2-cpu-low")
    assert [site.at(now) for now in (1, 2, 301, 302, 601, 901)] == [3, 3, 2, 2, 1, 1]
    both = Site(count=4, metrics=("cpu", "memory"))
    both.tell("g-1-cpu-low", "g-2-cpu-low")
    assert both.at(0) == 4
    both.tell("g-1-memory-low", "g-2-memory-low", "g-1-memory-high")
    assert both.at(1) == 6


def test_after_more_were_started_fewer_wait_a_whole_cooldown() -> None:
    site = Site(count=2)
    site.tell("g-1-cpu-high")
    assert site.at(0) == 3
    site.tell("g-1-cpu-high", fired=False)
    site.tell("g-1-cpu-low", "g-2-cpu-low")
    assert [site.at(now) for now in (100, 299, 300)] == [3, 3, 2]


def test_alerts_of_others_and_of_groups_that_are_not_watched_say_nothing() -> None:
    site = Site()
    site.tell("other-1-cpu-high", "g-3-cpu-high", "g-1-cpu-strange", "")
    assert site.at(0) == 2


def test_a_count_outside_of_the_bounds_is_not_pulled_back() -> None:
    site = Site(count=8)
    site.tell("g-1-cpu-high")
    assert site.at(0) == 8


def test_it_wakes_once_for_all_that_was_told() -> None:
    site = Site()
    assert not site.alarms.is_woken()
    site.tell("g-1-cpu-high", "g-2-cpu-high")
    assert site.alarms.is_woken()
    assert not site.alarms.is_woken()
