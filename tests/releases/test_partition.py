"""Both stores apart: each side goes on at the one that it sees, and once they are together one of them counts."""

from __future__ import annotations

import pytest
from faulty_store import FaultyStore
from test_ledger_faults import AT, LEASE_SECONDS, deploy, draft

from arriero.cli import locking
from arriero.clock import ManualClock
from arriero.errors import Refused
from arriero.releases import authority, merging
from arriero.releases.head import Holder
from arriero.releases.lease import Lost, acquire
from arriero.releases.ledger import Ledger
from arriero.releases.record import Note, SiteRelease, encoded

FAILED = SiteRelease("x", "aws", "us-east-1", "failed")


def apart() -> tuple[FaultyStore, FaultyStore]:
    """Release 1 is in both stores; then aws gets three releases of one side and azure two of the other.

    Of the one side's some are of numbers that the other has, too, and one is of a number that is to come.
    """
    aws, azure, clock = FaultyStore(), FaultyStore(name="azure"), ManualClock()
    assert deploy(aws, azure, "both", clock) == 1
    alone = FaultyStore(["down"], "azure")
    assert [deploy(aws, alone, what, clock) for what in ("ann 2", "ann 3", "ann 4")] == [2, 3, 4]
    authority.move(azure, 1 + merging.APART)
    assert [deploy(azure, FaultyStore(["down"]), what, clock) for what in ("bob 2", "bob 3")] == [2, 3]
    return aws, azure


def names(books: Ledger) -> dict[int, str]:
    return {release.number: release.definitions["a"] for release in books.releases()}


def test_whoever_reads_either_store_finds_the_same_releases_once_they_are_merged() -> None:
    aws, azure = apart()
    merged = {1: "both", 2: "bob 2", 3: "bob 3"}
    assert names(Ledger(azure, aws)) == merged
    assert Ledger(azure, aws).copy() == ""
    for books in (Ledger(azure, aws), Ledger(azure, None), Ledger(None, aws)):
        assert names(books) == merged
    assert deploy(azure, aws, "later", ManualClock()) == 4
    assert names(Ledger(None, aws)) == {**merged, 4: "later"}
    assert {release.stores for release in Ledger(azure, aws).releases()} == {("azure", "aws")}


def test_what_counts_no_more_is_told_with_whose_it_was() -> None:
    aws, azure = apart()
    for _ in range(2):
        assert locking.stray_lines(azure, aws) == [
            f"! only the store at aws has releases/{number:08d}-{number:08d}.json, release {number} by ann (acme/llm, "
            f"{AT}): it was written where the authority was no more"
            for number in (2, 3, 4)
        ]
        assert Ledger(azure, aws).copy() == ""


def test_the_side_with_the_lower_epoch_can_write_nothing_more() -> None:
    aws, azure = apart()
    clock = ManualClock()
    lease = acquire(aws, Holder("ann", "up", AT), LEASE_SECONDS, clock, told=lambda _: None)
    late = Ledger(aws, None)
    assert late.begin(lease, draft("ann 5")).number == 5
    assert Ledger(azure, aws).copy() == ""
    with pytest.raises(Lost):
        lease.beat()
    with pytest.raises(Lost):
        late.begin(lease, draft("ann 6"))
    # A write that was on its way meanwhile is in nobody's way.
    aws.create("releases/00000004-00000099.json", b"{}")
    assert deploy(azure, aws, "later", ManualClock()) == 4
    assert names(Ledger(None, aws))[4] == "later"


def test_notes_of_what_counts_no_more_tell_nothing_of_a_release_of_the_same_number() -> None:
    aws, azure = apart()
    note = Note(2, 2, AT, "ann", "ended", {"sites": {"x": FAILED.as_json()}, "models": {}, "spec": {}}, "u")
    aws.create(note.key, encoded(note))
    first = Note(1, 3, AT, "ann", "figures", {"a": 1}, "u")
    aws.create(first.key, encoded(first))
    assert Ledger(azure, aws).copy() == ""
    for books in (Ledger(azure, aws), Ledger(None, aws)):
        one, two, _ = books.releases()
        assert (one.figures, two.sites, two.state) == ((), {}, "done")


def test_the_authority_that_comes_back_begins_after_all_epochs_that_were_written_there() -> None:
    aws, azure = apart()
    assert Ledger(azure, aws).copy() == ""
    known = max(merging.epoch_of(key) for key in aws.objects)
    with pytest.raises(Refused, match=f"type --epoch {known + merging.APART}, or a greater one"):
        authority.move(aws, known + 1)
    authority.move(aws, known + merging.APART)
    assert deploy(aws, azure, "back", ManualClock()) == 4
    assert names(Ledger(aws, azure)) == names(Ledger(None, azure)) == {1: "both", 2: "bob 2", 3: "bob 3", 4: "back"}
