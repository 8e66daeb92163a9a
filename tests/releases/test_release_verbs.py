"""What history, show and down say of the ledger, in exact words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from faulty_store import FaultyStore
from test_ledger_faults import deploy

from arriero.cli import releases, show
from arriero.clock import ManualClock
from arriero.errors import Refused
from arriero.plan import stores
from arriero.plan.model import StoreFacts
from arriero.releases.ledger import Ledger

DIGEST = f"sha256:{'1' * 64}"


def test_history_says_what_one_store_only_has() -> None:
    authority, replica = FaultyStore(), FaultyStore(name="azure")
    deploy(authority, replica, "ann", ManualClock())
    replica.script = ["down"]
    deploy(authority, replica, "bob", ManualClock())
    replica.mend()
    books = Ledger(authority, replica)
    newest, oldest = releases.history_lines(books.releases(), 1, books)
    assert oldest == "   1  2026-01-01 00:00:00Z  done   acme/llm  ann stable"
    assert newest == "   2  2026-01-01 00:00:00Z  done   acme/llm  ann  [only aws has it]"


def test_what_never_was_is_refused_with_what_there_is() -> None:
    authority = FaultyStore()
    with pytest.raises(Refused) as nothing:
        releases.one(Ledger(authority), 1)
    assert str(nothing.value) == "there is no release 1; nothing was released yet"
    deploy(authority, FaultyStore(name="azure"), "ann", ManualClock())
    with pytest.raises(Refused) as told:
        releases.one(Ledger(authority), 9)
    assert str(told.value) == "there is no release 9; there are 1 to 1: arriero history"


def test_down_says_that_the_ledger_is_kept_and_purge_does_not() -> None:
    found = StoreFacts("aws", "arriero-llm-1", "us-east-1", stores.wanted("aws", "llm", "arriero-llm-1", "us-east-1"))
    assert show.kept_lines({"aws": found}, is_gone=False) == [
        "Kept: the ledger (aws arriero-llm-1), billed by use, price unknown; `arriero down --purge` removes it."
    ]
    assert show.kept_lines({"aws": found}, is_gone=True) == []


def test_the_parts_of_a_release_s_image_are_written_where_they_were_kept(tmp_path: Path) -> None:
    authority, replica = FaultyStore(), FaultyStore(name="azure")
    deploy(authority, replica, "ann", ManualClock())
    books = Ledger(authority, replica)
    release = replace(releases.one(books, 1), digest=DIGEST)
    with pytest.raises(Refused, match="no list of parts was kept of the image of release 1; scan before up --pushed"):
        releases.write_parts(books, release, tmp_path / "parts.json")
    assert books.keep_parts(DIGEST, b"{}")
    releases.write_parts(books, release, tmp_path / "parts.json")
    assert (tmp_path / "parts.json").read_text() == "{}"
    with pytest.raises(Refused):
        releases.write_parts(books, replace(release, digest=""), tmp_path / "other.json")
