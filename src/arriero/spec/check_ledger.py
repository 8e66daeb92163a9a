"""The rules of the section `ledger`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from arriero.errors import Problem
from arriero.spec.ledger import Ledger

# Below, one slow answer of a store would end a deployment.
LEAST_LEASE_SECONDS = 2


def ledger_problems(ledger: Ledger, clouds: Collection[str]) -> Iterator[Problem]:
    """`clouds` are those that have a site: only there is a store."""
    if ledger.authority and ledger.authority not in clouds:
        remedy = "name a cloud that has a site, or remove the line"
        yield Problem(f"no site is at {ledger.authority}, so no store is there", remedy, "ledger.authority")
    if ledger.lease < LEAST_LEASE_SECONDS:
        yield Problem(f"{ledger.lease} is too short to be kept", "write 2s at least, like 30s", "ledger.lease")
