"""The loop that scales, with clouds that refuse, hang and change under it, and a clock that is moved by hand."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from scaled_world import World, busy, calm, grown

from arriero.clouds.scaling import Busy, Throttled
from arriero.errors import CloudError, Problem
from arriero.scale.controller import LOOK_SECONDS, run


def test_a_burst_goes_out_at_the_cheaper_site_first_and_then_at_the_other() -> None:
    world = World()
    seen = []
    for _ in range(40):
        busy(world)
        world.rounds(1)
        seen.append(world.counts)
    assert seen[0] == (1, 1)
    assert (3, 1) in seen
    assert all(azure == 4 or aws == 1 for azure, aws in seen)
    assert seen[-1] == (4, 4)
    decided = [event for event in world.told if event.kind == "scale.decided"]
    assert all(event.fields["reason"] for event in decided)
    assert "targets' slots are taken or waited for" in str(decided[-1].fields["reason"])


def test_it_goes_in_again_by_draining_first_and_stops_nobody_who_has_streams() -> None:
    world = grown()
    calm(world)
    world.gateway.open = {"aws-new-0": 1}
    for _ in range(400):
        drained = {name for name, weight in world.gateway.weights.items() if not weight}
        before = set(world.azure.running) | set(world.aws.running)
        world.rounds(1)
        gone = before - set(world.azure.running) - set(world.aws.running)
        assert gone <= drained, "it was drained a round before"
        assert "aws-new-0" not in gone
    assert world.counts == (1, 1)
    assert world.aws.running == ["aws-new-0"], "the one that serves stays, the others go"


def test_a_stream_that_goes_on_keeps_its_drained_target() -> None:
    world = grown()
    calm(world)
    world.gateway.open = dict.fromkeys([*world.azure.running, *world.aws.running], 1)
    world.rounds(60)
    draining = [name for name, weight in world.gateway.weights.items() if not weight]
    assert draining
    assert world.counts == (4, 4)
    for name in draining:
        del world.gateway.open[name]
    world.rounds(2)
    assert not set(draining) & {*world.azure.running, *world.aws.running}


def test_who_was_about_to_leave_stays_when_the_load_is_back() -> None:
    world = grown()
    calm(world)
    world.gateway.open = dict.fromkeys([*world.azure.running, *world.aws.running], 1)
    world.rounds(60)
    assert 0 in world.gateway.weights.values()
    writes = len(world.aws.writes)
    for _ in range(10):
        busy(world)
        world.rounds(1)
    assert 0 not in world.gateway.weights.values()
    assert len(world.aws.writes) == writes
    assert "scale.kept" in world.kinds()


def test_while_somebody_deploys_nothing_is_done_and_the_reason_is_told() -> None:
    world = World()
    world.rights.why = "a deployment is under way: eve"
    for _ in range(10):
        busy(world)
        world.rounds(1)
    assert world.counts == (1, 1)
    assert world.kinds()[:2] == ["scale.decided", "scale.paused"]
    assert set(world.kinds()) == {"scale.decided", "scale.paused"}
    assert world.controller.look(world.gateway).paused == "a deployment is under way: eve"


def test_a_deployment_that_comes_between_is_waited_for() -> None:
    world = World()
    with world.rights.one:
        for _ in range(8):
            busy(world)
            world.rounds(1)
    assert world.counts == (1, 1)
    assert "scale.waits" in world.kinds()
    busy(world)
    world.rounds(1)
    assert world.counts != (1, 1)


def test_a_throttled_site_is_left_and_the_other_takes_its_part() -> None:
    world = World()
    world.azure.trouble = [Throttled("azure", Problem("no more creations (429)"), 600.0)]
    for _ in range(30):
        busy(world)
        world.rounds(1)
    assert world.counts == (1, 4)
    assert "scale.throttled" in world.kinds()
    report = world.controller.look(world.gateway)
    assert report.sites[0].why == "its cloud's quota of creations leaves 0 now"
    for _ in range(50):
        busy(world)
        world.rounds(1)
    assert world.counts == (4, 4), "the ten minutes are over"


def test_a_site_that_fails_is_left_alone_for_a_while() -> None:
    world = World()
    world.azure.trouble = [CloudError("azure", Problem("the region's quota of cores is used up"))] * 50
    for _ in range(30):
        busy(world)
        world.rounds(1)
    assert world.counts == (1, 4)
    assert 1 <= world.kinds().count("scale.failed") <= 8, "not in each round"


def test_a_site_that_cannot_be_read_keeps_its_count_and_stops_nobody() -> None:
    world = World()
    world.azure.unread = "the region is down"
    for _ in range(30):
        busy(world)
        world.rounds(1)
    assert world.counts == (1, 4)
    assert "can't be read: " in world.controller.look(world.gateway).sites[0].why


def test_a_read_that_hangs_holds_up_no_other_site() -> None:
    world = World()
    world.azure.gate, world.controller.patience_seconds = threading.Event(), 0.02
    for _ in range(12):
        busy(world)
        world.rounds(1)
    assert world.counts[1] > 1
    world.azure.gate.set()
    world.controller.close()


def test_killed_between_the_write_and_its_record_the_next_one_reads_what_is_there() -> None:
    world = World()
    world.azure.dies_after_write = True
    died = False
    for _ in range(10):
        busy(world)
        try:
            world.rounds(1)
        except KeyboardInterrupt:
            died = True
            world.controller = world.begin()
    assert died
    assert len(set(world.azure.running)) == len(world.azure.running) <= 4
    calm(world)
    world.rounds(200)
    assert world.counts == (1, 1)


def test_killed_at_any_round_it_goes_on_from_what_it_reads() -> None:
    world = World()
    for place in range(60):
        if place % 7 == 0:
            world.controller = world.begin()
        busy(world)
        world.rounds(1)
    assert world.counts == (4, 4)
    calm(world)
    for place in range(600):
        if place % 31 == 0:  # its hold is a minute: six rounds
            world.controller = world.begin()
        world.rounds(1)
    assert world.counts == (1, 1)
    assert not [name for name in (*world.azure.running, *world.aws.running) if world.gateway.weights.get(name) == 0]


def test_two_at_once_never_make_more_than_one_would() -> None:
    world = World()
    other = world.begin()
    for _ in range(40):
        busy(world)
        first = world.controller.look(world.gateway)
        other.look(world.gateway)
        world.clock.sleep(LOOK_SECONDS)
        assert max(world.counts) <= 4
        assert first.need <= 8
    assert world.counts == (4, 4)


def test_a_count_that_changed_meanwhile_is_looked_at_again() -> None:
    world = World()
    busy(world)
    world.rounds(4)
    report = world.controller.look
    stale = world.azure.read()
    world.azure.running.append("by hand")
    assert world.controller._fresh("azure", stale) is None
    assert report(world.gateway).sites[0].count == len(world.azure.running)


def test_off_hours_and_counts_outside_min_and_max_are_not_its_business() -> None:
    world = World()
    world.asleep, world.azure.running = {"azure"}, []
    world.aws.running = [f"aws-{n}" for n in range(7)]
    for _ in range(20):
        world.gateway.open, world.gateway.waiting = dict.fromkeys(world.aws.running, 4), 40
        world.rounds(1)
    assert world.counts == (0, 7)
    why = {site.site: site.why for site in world.controller.look(world.gateway).sites}
    assert why == {
        "azure": "off hours",
        "aws": "7 are asked for, outside of 1 to 4: arriero up sets that right",
    }


def test_rights_are_asked_for_only_where_something_is_to_be_done() -> None:
    world = World()
    world.rounds(20)
    assert (world.rights.asked, world.rights.rested) == (0, 1)
    for _ in range(30):
        busy(world)
        world.rounds(1)
    asked = world.rights.asked
    assert asked > 0
    for _ in range(30):
        busy(world)
        world.rounds(1)
    assert (world.rights.asked, world.rights.rested) == (asked, 2)


def test_one_that_somebody_drained_at_a_site_left_to_hands_is_not_stopped() -> None:
    world = World({"scale": {"min": 1, "max": 4, "by": "hand"}})
    drained = world.aws.running[0]
    world.gateway.drain(drained)
    world.rounds(2)
    assert drained in world.aws.running
    assert world.aws.writes == []


def test_by_hand_means_that_nobody_else_does() -> None:
    world = World({"scale": {"min": 1, "max": 4, "by": "hand"}})
    for _ in range(20):
        busy(world)
        world.rounds(1)
    assert world.counts == (1, 1)


def test_the_budget_keeps_more_from_being_started() -> None:
    world = World({"budget": {"monthly": "400 USD"}})
    for _ in range(30):
        busy(world)
        world.rounds(1)
    assert world.counts[0] + world.counts[1] < 4
    assert "the budget bears no more" in world.controller.look(world.gateway).reason


def test_a_protected_task_is_asked_for_again() -> None:
    world = grown()
    calm(world)
    world.aws.trouble = [Busy("aws", Problem("it is protected for some seconds more"))]
    world.rounds(200)
    assert world.counts == (1, 1)


def test_the_loop_goes_on_when_the_gateway_is_silent_and_says_so_once() -> None:
    world = World()
    world.gateway.is_silent = True
    left = iter(range(400))
    run(world.controller, lambda: world.gateway, lambda: next(left, None) is None)
    assert world.kinds() == ["scale.failed"]
    assert world.clock.now() > datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
