"""A release that is on record as failed at a site, and stands there by the next `up`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from faulty_store import FaultyStore
from test_ledger_faults import AT, LEASE_SECONDS, draft

from arriero.clock import ManualClock
from arriero.deploy.releasing import standing_after_all
from arriero.events import Json
from arriero.plan.model import LastRelease, Plan, SitePlan, Step
from arriero.releases.head import Holder
from arriero.releases.lease import acquire
from arriero.releases.ledger import Ledger
from arriero.releases.opening import Opened
from arriero.releases.record import Ended, Note, SiteRelease

EMPTY = Plan("llm", 1, (SitePlan("one", "aws", 1, 1, ()), SitePlan("two", "azure", 1, 1, ())))
BUSY = replace(EMPTY, sites=(*EMPTY.sites, SitePlan("three", "aws", 1, 1, (), steps=(Step("three", "network", ()),))))
OLDER = replace(EMPTY, sites=(EMPTY.sites[0], replace(EMPTY.sites[1], release=0)))


def opened(**states: Ended) -> tuple[FaultyStore, Opened]:
    store = FaultyStore()
    books = Ledger(store)
    lease = acquire(store, Holder("ann", "up", AT), LEASE_SECONDS, ManualClock(), told=lambda _: None)
    books.begin(lease, draft("x"))
    sites: dict[str, Json] = {name: SiteRelease(name, "aws", "", state).as_json() for name, state in states.items()}
    books.end(lease, Note(1, lease.epoch, AT, "ann", "ended", {"sites": sites, "models": {}, "spec": {}}, "t"))
    lease.release()
    return store, Opened(books, "aws", {}, lease.head, LastRelease(1, {}))


@pytest.mark.parametrize(
    ("states", "plan", "found"),
    [
        ({"one": "done", "two": "failed"}, EMPTY, ("two",)),
        ({"one": "failed", "two": "failed"}, EMPTY, ("one", "two")),
        ({"one": "done", "two": "done"}, EMPTY, ()),
        ({"one": "done", "two": "failed"}, BUSY, ()),
        ({"one": "done", "two": "failed"}, OLDER, ()),
        ({"one": "done", "gone": "failed"}, EMPTY, ()),
    ],
)
def test_only_what_failed_and_stands_is_found(states: dict[str, Ended], plan: Plan, found: tuple[str, ...]) -> None:
    assert standing_after_all(opened(**states)[1], plan) == found


def test_a_ledger_that_says_nothing_has_nothing_written() -> None:
    store, books = opened(one="failed")
    assert standing_after_all(replace(books, last=None), EMPTY) == ()
    store.script = ["down"] * 20
    assert standing_after_all(books, EMPTY) == ()
