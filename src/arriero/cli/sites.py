"""What stands at the spec's sites, for verbs that look and change nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from arriero.cli.here import Here
from arriero.clock import SystemClock
from arriero.clouds import read
from arriero.plan.model import Facts
from arriero.plan.sleep import sleeps
from arriero.releases import opening


def read_sites(here: Here) -> Facts:
    """As a plan reads them, with the ledger's newest release; each site that can't be read is told on stderr."""
    accounts = read.check_accounts(here.spec, here.endpoints)
    with ThreadPoolExecutor(1, thread_name_prefix="ledger") as pool:
        ledger = pool.submit(opening.read, here.spec, accounts)
        facts = read.read(here.spec)
        books = ledger.result()
    for line in unread(facts):
        print(line, file=sys.stderr)
    return replace(facts, stores=books.stores, last=books.last, orders=books.orders)


def unread(facts: Facts) -> Iterator[str]:
    """A line for each site that could not be read, and for the Front Door."""
    for name, found in facts.sites.items():
        if found.problem:
            yield f"! {name} can't be read, so what stands there is left out: {found.problem}"
    if facts.front_door and facts.front_door.problem:
        yield f"! the Front Door can't be read, so what stands of it is left out: {facts.front_door.problem}"


def asleep(here: Here) -> frozenset[str]:
    """Sites that are off now; the ledger is asked only where the spec has off hours at all."""
    sites = [site for name in here.spec.sites if (site := here.spec.site(name)).off]
    if not sites:
        return frozenset()
    orders = opening.read(here.spec, read.check_accounts(here.spec, here.endpoints)).orders
    now = SystemClock().now()
    return frozenset(site.name for site in sites if sleeps(site, orders, now))
