"""Stores that fail, fill up, lie or are stale while one release is recorded: no number is lost or doubled."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest
from faulty_store import FAULTS, Fault, FaultyStore

from arriero.clock import ManualClock
from arriero.errors import ArrieroError
from arriero.releases.head import Holder
from arriero.releases.lease import acquire
from arriero.releases.ledger import Ledger
from arriero.releases.record import Note, Record, encoded, note_from, record_from
from arriero.releases.store import StoreError

AT = "2026-01-01T00:00:00+00:00"
LEASE_SECONDS = 30.0
# Calls that one release makes at the authority, without faults; the faults below meet each of them.
CALLS = 12


def draft(what: str) -> Record:
    return Record(0, 0, "llm", AT, "ann", "", {"name": what}, "acme/llm", "", ("llama2",), {"a": what}, (), "")


def deploy(authority: FaultyStore, replica: FaultyStore, what: str, clock: ManualClock) -> int | None:
    """One deployment as `up` does it; the number that it was told it has, None where it was refused."""
    books, number = Ledger(authority, replica), None
    try:
        lease = acquire(authority, Holder(what, "up", AT), LEASE_SECONDS, clock, told=lambda _: None)
        try:
            number = books.begin(lease, draft(what)).number
            books.copy()
            note = Note(number, lease.epoch, AT, what, "ended", {"sites": {}, "models": {}, "spec": {}}, "t")
            books.end(lease, note)
            books.copy()
        finally:
            lease.release()
    except (ArrieroError, StoreError):
        return number
    return number


def check(authority: FaultyStore, replica: FaultyStore, told: dict[int, str]) -> None:
    """Every number from 1 on is there once, and is what its deployer was told."""
    authority.mend(), replica.mend()
    books = Ledger(authority, replica)
    assert books.copy() == ""
    for ledger in (books, Ledger(None, replica), Ledger(authority, None)):
        found = {release.number: release.definitions["a"] for release in ledger.releases()}
        assert sorted(found) == list(range(1, len(found) + 1))
        assert told.items() <= found.items()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("side", ["authority", "replica"])
def test_one_fault_at_any_call_loses_and_doubles_no_number(side: str, fault: Fault) -> None:
    for call in range(CALLS):
        clock, stores = ManualClock(), {"authority": FaultyStore(), "replica": FaultyStore(name="azure")}
        told = {number: "before" for number in [deploy(*stores.values(), "before", clock)] if number}
        stores[side].script = [*["none"] * call, fault]
        if number := deploy(*stores.values(), "during", clock):
            assert number not in told
            told[number] = "during"
        stores[side].mend()
        if number := deploy(*stores.values(), "after", clock):
            assert number not in told
            told[number] = "after"
        assert "after" in told.values()
        check(*stores.values(), told)


def test_every_pair_of_faults_at_neighbouring_calls_loses_and_doubles_no_number() -> None:
    for call, (first, second) in product(range(CALLS), product(FAULTS, FAULTS)):
        clock, authority, replica = ManualClock(), FaultyStore(), FaultyStore(name="azure")
        authority.script = [*["none"] * call, first, second]
        replica.script = [second, first]
        told: dict[int, str] = {}
        for what in ("during", "after", "later"):
            if number := deploy(authority, replica, what, clock):
                assert number not in told
                told[number] = what
            authority.mend(), replica.mend()
        assert "later" in told.values()
        check(authority, replica, told)


@pytest.mark.parametrize("fault", ["lost answer", "false conflict"])
def test_a_write_that_was_done_and_is_denied_is_found_out_and_costs_nothing(fault: Fault) -> None:
    for call in range(CALLS):
        authority, replica, clock = FaultyStore(), FaultyStore(name="azure"), ManualClock()
        authority.script = [*["none"] * call, fault]
        assert deploy(authority, replica, "x", clock) == 1
        assert Ledger(authority, replica).head().epoch == 1
        assert clock.elapsed_seconds == 0
        check(authority, replica, {1: "x"})


def test_a_record_that_one_store_only_has_is_shown_as_such() -> None:
    authority, replica = FaultyStore(), FaultyStore(script=["down"], name="azure")
    assert deploy(authority, replica, "x", ManualClock()) == 1
    replica.mend()
    assert Ledger(authority, replica).release(1).stores == ("aws",)  # type: ignore[union-attr]
    assert Ledger(authority, replica).copy() == ""
    assert Ledger(authority, replica).release(1).stores == ("aws", "azure")  # type: ignore[union-attr]


def test_the_ledger_is_read_when_either_store_is_gone() -> None:
    authority, replica = FaultyStore(), FaultyStore(name="azure")
    deploy(authority, replica, "x", ManualClock())
    authority.script = ["down"]
    assert [release.number for release in Ledger(authority, replica).releases()] == [1]
    authority.mend()
    replica.script = ["down"]
    assert [release.number for release in Ledger(authority, replica).releases()] == [1]


def test_with_no_store_in_reach_it_says_which_and_why() -> None:
    books = Ledger(FaultyStore(script=["down"]), FaultyStore(script=["down"], name="azure"))
    with pytest.raises(ArrieroError) as told:
        books.releases()
    said = "ledger: no ledger can be read: aws: 503 Slow Down; azure: 503 Slow Down; "
    assert str(told.value) == f"{said}see that one of its stores can be reached"


def test_figures_are_added_to_a_release_that_has_ended() -> None:
    authority, replica = FaultyStore(), FaultyStore(name="azure")
    deploy(authority, replica, "x", ManualClock())
    books = Ledger(authority, replica)
    books.add_figures(1, {"first_token_ms": 80}, "ci", datetime(2026, 1, 2, tzinfo=UTC))
    assert [dict(f) for f in books.release(1).figures] == [{"first_token_ms": 80}]  # type: ignore[union-attr]


def test_records_and_notes_come_back_as_they_were_written() -> None:
    record = draft("x")
    assert record_from(encoded(record)) == record
    note = Note(1, 2, AT, "ann", "figures", {"a": 1}, "t")
    assert note_from(encoded(note)) == note


def test_the_first_list_of_an_image_s_parts_stays_and_is_copied() -> None:
    authority, replica = FaultyStore(), FaultyStore(name="azure")
    books, digest = Ledger(authority, replica), f"sha256:{'1' * 64}"
    assert books.keep_parts(digest, b"first")
    assert not books.keep_parts(digest, b"second")
    assert books.parts(digest) == b"first"
    assert books.parts(f"sha256:{'2' * 64}") is None
    assert books.copy() == ""
    authority.script = ["down"]
    assert books.parts(digest) == b"first", "the replica has it, too"
    with pytest.raises(ArrieroError, match="the ledger"):
        books.keep_parts(digest, b"third")
