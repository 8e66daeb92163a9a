"""One controller decides at a time, and none acts while somebody deploys."""

from __future__ import annotations

import pytest
from faulty_store import FaultyStore

from arriero.clock import ManualClock
from arriero.errors import ArrieroError
from arriero.releases.head import Holder, Open
from arriero.releases.lease import Lease, Lost, acquire, read_head
from arriero.releases.ledger import Ledger
from arriero.releases.turns import NotNow, Turns

SECONDS = 30.0


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manual clock and a thread that beats don't go together."""
    monkeypatch.setattr(Lease, "keep", lambda _: None)


def turns(store: FaultyStore, clock: ManualClock, who: str = "ann") -> Turns:
    return Turns(lambda: Ledger(store, None, {}), who, SECONDS, clock)


def deploying(store: FaultyStore, clock: ManualClock) -> Lease:
    return acquire(store, Holder("eve", "up", "now"), SECONDS, clock, told=lambda _: None)


def test_the_second_controller_looks_on_until_the_first_is_dead() -> None:
    store, clock = FaultyStore(), ManualClock()
    first, second = turns(store, clock), turns(store, clock, "bob")
    assert first.objection() == ""
    assert second.objection().startswith("another controller decides: ann (controller run)")
    with pytest.raises(NotNow), second.turn():
        raise AssertionError("it may not")
    clock.sleep(SECONDS - 1)
    assert second.objection() != ""
    clock.sleep(2)
    assert second.objection() == "", "ann gave no sign for a whole lease"
    with second.turn():
        assert read_head(store)[0].holder is not None
    with pytest.raises(Lost), first.turn():
        raise AssertionError("its lease is another's")
    assert first.objection().startswith("another controller decides: bob")


def test_one_that_ends_in_order_leaves_its_place_at_once() -> None:
    store, clock = FaultyStore(), ManualClock()
    first, second = turns(store, clock), turns(store, clock, "bob")
    first.objection()
    first.rest()
    assert second.objection() == ""


def test_a_turn_takes_the_deployers_lease_and_its_epoch_tells_them() -> None:
    store, clock = FaultyStore(), ManualClock()
    mine = turns(store, clock)
    mine.objection()
    with mine.turn() as lease:
        lease.require(5.0)
        head = read_head(store)[0]
        assert (head.epoch, head.holder and head.holder.verb) == (1, "scale")
    assert read_head(store)[0].holder is None
    assert deploying(store, clock).epoch == 2


def test_a_turn_that_takes_long_keeps_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Lease] = []
    monkeypatch.setattr(Lease, "keep", lambda lease: kept.append(lease))
    mine = turns(FaultyStore(), ManualClock())
    mine.objection()
    assert len(kept) == 1
    with mine.turn() as lease:
        assert kept[1:] == [lease]


def test_while_somebody_deploys_nothing_is_done() -> None:
    store, clock = FaultyStore(), ManualClock()
    mine = turns(store, clock)
    mine.objection()
    held = deploying(store, clock)
    assert mine.objection() == "a deployment is under way: eve (up) has held it since now"
    with pytest.raises(NotNow, match="eve"), mine.turn():
        raise AssertionError("it may not")
    held.release()
    assert mine.objection() == ""


def test_a_deployment_that_died_half_way_is_left_to_the_next_deployer() -> None:
    store, clock = FaultyStore(), ManualClock()
    mine = turns(store, clock)
    mine.objection()
    deploying(store, clock).update(lambda head: head.released(1, "releases/1", "eve", "then"))
    for _ in range(4):
        mine.objection()
        clock.sleep(10)
        if mine._lead is not None:
            mine._lead.beat()
    assert mine.objection() == "eve began release 1 and did not end it: arriero up resumes it"
    with pytest.raises(NotNow, match="did not end it"), mine.turn():
        raise AssertionError("it may not")
    head = read_head(store)[0]
    assert head.open == Open(1, 1, "eve", "then")


def test_a_store_that_is_down_stops_everything_and_then_it_goes_on() -> None:
    store, clock = FaultyStore(), ManualClock()
    mine = turns(store, clock)
    assert mine.objection() == ""
    store.script = ["down"]
    assert mine.objection().startswith("the ledger's authority store can't be reached: ")
    with pytest.raises(ArrieroError), mine.turn():
        raise AssertionError("it may not")
    store.mend()
    assert mine.objection() == ""


def test_without_a_store_there_is_no_right() -> None:
    mine = Turns(lambda: Ledger(None, None, {"aws": "no credentials"}), "ann", SECONDS, ManualClock())
    assert mine.objection() == "the ledger's authority store can't be reached: no credentials"
