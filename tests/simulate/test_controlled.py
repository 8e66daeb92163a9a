"""The controller's own eyes in a play: it is told what a gateway tells, and follows the load by it."""

from __future__ import annotations

from dataclasses import replace

from arriero.gateway.routing.admission import Line
from arriero.scale.autoscale import Policy
from arriero.scale.demand import Demand
from arriero.scale.spot import Mix
from arriero.simulate.controlled import Controlled
from arriero.simulate.machine import BYTES_A_TOKEN, Job
from arriero.simulate.ours import MONDAY
from arriero.simulate.play import Play
from arriero.simulate.policies import Scaling, Sight
from arriero.simulate.scenario import load
from arriero.simulate.telling import Telling


def test_what_is_open_waits_or_is_over_is_told_as_a_gateway_does() -> None:
    telling, one, other = Telling(), Job(0.0, "m", 100, 20), Job(1.0, "m", 50, 10)
    telling.opened(one)
    telling.opened(other)
    other.sent_at = 1.0
    telling.ended(other, 5.0)
    line = Line()
    line.put(Job(2.0, "m", 7, 1))
    told = telling.told({"m": line})
    assert (told.open, told.waiting) == (1, 1)
    assert told.pending["m"].open_bytes == 100 * BYTES_A_TOKEN
    assert told.pending["m"].waiting_bytes == 7 * BYTES_A_TOKEN
    over = told.ended["m"]
    assert (over.count, over.tokens_in, over.tokens_out, over.held_seconds) == (1, 50, 10, 4.0)
    telling.cut(one)
    assert telling.told({}).open == 0


class Noting(Controlled):
    """Keeps what it was told."""

    def wanted(self, sight: Sight) -> int:
        assert sight.told is not None
        self.told = sum(each.count for each in sight.told.ended.values()) + sight.told.open + sight.told.waiting
        assert sight.waiting == sight.told.waiting
        return super().wanted(sight)


def test_every_request_is_told_once_though_spot_takes_targets() -> None:
    scene = load("conversation", "", 3 / 24)
    scaling = Noting(Policy(2, 30), 4.0)
    cloud = replace(scene.cloud, evictions_a_week=600.0, warning_seconds=1.0)
    whole = Play(scene.service, scene.pace, cloud, Mix(2, 1.0), scaling, 1, scene.seconds)
    found = whole.run(scene.arrivals(1))
    assert found.migrated > 0
    assert found.refusals == 0
    last = scene.seconds // Scaling.seconds * Scaling.seconds
    came = sum(each.at <= last for each in scene.arrivals(1))
    assert came - 20 <= scaling.told <= came
    assert scaling.steps
    assert all(2 <= count <= 30 for _, count in scaling.steps)
    assert max(count for _, count in scaling.steps) > 4


def test_what_requests_take_is_learnt_though_slots_slow_each_other_down() -> None:
    """The code trace asks four slots of a machine that bears two and a half streams at full pace."""
    scene, came = load("code", "", 2 / 24), []

    class Counting(Demand):
        def asked(self, now: float, work: float) -> None:
            came.append((now, work))
            super().asked(now, work)

    scaling = Controlled(Policy(2, 80), 4.0)
    scaling.memory.demand = Counting()
    Play(scene.service, scene.pace, scene.cloud, Mix(2, 0.0), scaling, 1, scene.seconds).run(scene.arrivals(1))
    expected = sum(work for now, work in came if now > MONDAY + 3600)
    really = sum(scene.pace.work(each.prompt, each.answer) for each in scene.arrivals(1) if each.at > 3600)
    assert 0.75 * really < expected < 1.25 * really
