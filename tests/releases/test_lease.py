"""The lease: one holder at a time, whatever clocks say, whoever is paused, however stores behave."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from faulty_store import FaultyStore
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from arriero.clock import ManualClock, SystemClock
from arriero.errors import ArrieroError, Refused
from arriero.releases import authority
from arriero.releases.head import Holder
from arriero.releases.lease import Held, Lease, Lost, acquire, read_head
from arriero.releases.store import StoreError

LEASE_SECONDS = 30.0


def holder(name: str) -> Holder:
    return Holder(name, "up", "2026-01-01T00:00:00+00:00")


def take(store: FaultyStore, name: str, clock: ManualClock, patience: float = 0.0) -> Lease:
    return acquire(store, holder(name), LEASE_SECONDS, clock, patience_seconds=patience, told=lambda _: None)


@dataclass
class Beating(ManualClock):
    """A clock by whose sleep another's lease beats."""

    lease: Lease | None = None
    other: ManualClock = field(default_factory=ManualClock)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.other.sleep(seconds)
        if self.lease:
            self.lease.beat()


def test_a_second_one_is_refused_while_the_first_gives_signs_of_life() -> None:
    store, mine = FaultyStore(), ManualClock()
    clock = Beating(lease=take(store, "ann@desk pid 1", mine), other=mine)
    with pytest.raises(Held) as told:
        take(store, "bob", clock)
    assert str(told.value) == (
        "lease: another deployment is under way: ann@desk pid 1 (up) has held it since 2026-01-01T00:00:00+00:00; "
        "wait until it has ended (`arriero up --wait 10m` does that); `arriero lock status` shows it"
    )
    assert clock.elapsed_seconds < LEASE_SECONDS


def test_who_waits_gets_it_when_it_is_given_back() -> None:
    store, mine = FaultyStore(), ManualClock()
    lease = take(store, "ann", mine)

    class Freeing(Beating):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.elapsed_seconds > 100:
                lease.release()

    clock = Freeing(lease=lease, other=mine)
    assert take(store, "bob", clock, patience=600).epoch == 2
    assert 100 < clock.elapsed_seconds < 110


@pytest.mark.parametrize("skew", [timedelta(minutes=-5), timedelta(), timedelta(minutes=5)])
def test_a_dead_ones_lease_ends_after_a_whole_lease_whatever_the_clocks_say(skew: timedelta) -> None:
    store = FaultyStore()
    dead = take(store, "ann", ManualClock())
    clock = ManualClock()
    clock.start += skew
    lease = take(store, "bob", clock)
    assert lease.epoch == dead.epoch + 1
    assert LEASE_SECONDS <= clock.elapsed_seconds < LEASE_SECONDS + 5


def test_the_paused_one_has_given_up_before_the_next_one_begins_and_can_write_nothing() -> None:
    store, clock = FaultyStore(), ManualClock()
    paused = take(store, "ann", clock)
    clock.sleep(LEASE_SECONDS)
    assert not paused.is_held
    take(store, "bob", ManualClock())
    with pytest.raises(Lost):
        paused.update(lambda head: head)
    # Paused between its own look at the lease and the write, even: the store refuses, by the tag.
    paused._deadline = clock.monotonic() + 100
    with pytest.raises(Lost) as told:
        paused.update(lambda head: head)
    assert str(told.value).startswith("lease: the lease of epoch 1 is lost: ")
    assert read_head(store)[0].holder == holder("bob")


def test_a_step_begins_only_with_more_of_the_lease_left_than_it_may_take() -> None:
    clock = ManualClock()
    lease = take(FaultyStore(), "ann", clock)
    lease.require(20)
    clock.sleep(10)
    with pytest.raises(Lost):
        lease.require(20)
    lease.beat()
    lease.require(20)


def test_beats_that_do_not_come_through_end_it_by_the_holders_own_clock() -> None:
    store, clock = FaultyStore(), ManualClock()
    lease = take(store, "ann", clock)
    store.script = ["down"]
    for _ in range(3):
        clock.sleep(7)
        lease.beat()
        assert lease.is_held
    clock.sleep(7)
    assert not lease.is_held


def test_a_broken_lease_is_lost_at_its_next_beat() -> None:
    store = FaultyStore()
    lease = take(store, "ann", ManualClock())
    assert authority.break_lease(store).who == "ann"
    with pytest.raises(Lost):
        lease.beat()
    with pytest.raises(Refused, match="nobody holds the lease"):
        authority.break_lease(store)


def test_authority_moves_to_an_epoch_that_nobody_comes_to_meanwhile() -> None:
    store = FaultyStore(name="azure")
    take(store, "ann", ManualClock()).release()
    with pytest.raises(Refused) as told:
        authority.move(store, 10_000)
    assert str(told.value) == (
        "--epoch: whoever doesn't see the move could still come to that epoch; the newest known one is 1; "
        "type --epoch 1000001, or a greater one"
    )
    authority.move(store, 1_000_007)
    assert "authority/01000007-azure-00000001" in store.objects
    assert take(store, "bob", ManualClock()).epoch == 1_000_008


def test_twenty_at_once_have_it_one_after_the_other() -> None:
    store, inside, most, epochs = FaultyStore(), [], [], []

    def deploy(number: int) -> None:
        clock = SystemClock()
        lease = acquire(store, holder(f"deployer {number}"), 2.0, clock, patience_seconds=60, told=lambda _: None)
        inside.append(number)
        most.append(len(inside))
        epochs.append(lease.epoch)
        lease.update(lambda head: head)
        inside.remove(number)
        lease.release()

    threads = [threading.Thread(target=deploy, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert epochs == list(range(1, 21))


class Deployers(RuleBasedStateMachine):
    """Three deployers with clocks of their own, which run apart, on one store; each is paused at will.

    The model: at most one of them may ever believe that it holds the lease, and epochs only grow. Real time passes for
    all by the same amount; a wall clock that is wrong plays no part.
    """

    def __init__(self) -> None:
        super().__init__()
        self.store = FaultyStore()
        self.clocks = [ManualClock(), ManualClock(), ManualClock()]
        for clock, skew in zip(self.clocks, (-300, 0, 300), strict=True):
            clock.start += timedelta(seconds=skew)
        self.leases: list[Lease | None] = [None, None, None]
        self.seen: list[tuple[str, float]] = [("", 0.0)] * 3
        self.epoch = 0

    @rule(seconds=st.floats(0.1, 20))
    def time_passes(self, seconds: float) -> None:
        for clock in self.clocks:
            clock.sleep(seconds)

    @rule(who=st.integers(0, 2), fault=st.sampled_from(["none", "fails", "lost answer", "false conflict"]))
    def beats(self, who: int, fault: str) -> None:
        self.store.script = [fault]  # type: ignore[list-item]
        if lease := self.leases[who]:
            try:
                lease.beat()
            except Lost:
                self.leases[who] = None
        self.store.mend()

    @rule(who=st.integers(0, 2))
    def gives_it_back(self, who: int) -> None:
        if lease := self.leases[who]:
            lease.release()
            self.leases[who] = None

    @rule(who=st.integers(0, 2))
    def looks_and_takes_it_if_it_may(self, who: int) -> None:
        """One look of `acquire`: as its watch does it, over many looks."""
        clock = self.clocks[who]
        head, found = read_head(self.store)
        tag = found.tag if found else ""
        if tag != self.seen[who][0]:
            self.seen[who] = (tag, clock.monotonic())
        is_dead = clock.monotonic() - self.seen[who][1] >= LEASE_SECONDS
        if self.leases[who] is None and (head.holder is None or is_dead):
            if is_dead and head.holder is not None:
                authority.break_lease(self.store)
            try:
                lease = take(self.store, str(who), clock)
            except (StoreError, ArrieroError):
                return
            assert lease.epoch > self.epoch
            self.epoch, self.leases[who] = lease.epoch, lease

    @invariant()
    def one_at_most_holds_it(self) -> None:
        assert sum(lease is not None and lease.is_held for lease in self.leases) <= 1


Deployers.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_the_lease_is_as_the_model_says = Deployers.TestCase
