"""What somebody ordered about the sleep of sites, and how many targets slept: small objects beside the releases.

`schedule/<time>-<token>.json`, made once and never changed, so two who write at once take nothing from each other. Of a
site's orders the newest replaces those before, and after its end the spec's hours hold again. Kept in the ledger, so
that every machine and plain Ansible know them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import uuid4

from arriero.errors import ArrieroError, Problem
from arriero.plan.sleep import Orders
from arriero.releases.ledger import Ledger, stamp
from arriero.releases.store import Absent, Store, StoreError
from arriero.spec.schedule import Override

PREFIX = "schedule/"
# Older orders are over, or another was given since.
_NEWEST = 40


def read(ledger: Ledger) -> Orders:
    """Of the first store that can be read; nothing is ordered where none can."""
    for store in ledger.stores:
        try:
            return _read(store)
        except Absent:
            continue
        except StoreError:
            continue
    return Orders()


def override(ledger: Ledger, site: str, wanted: Override, now: datetime) -> None:
    """Raises ArrieroError where it can't be written."""
    told = {"site": site, "off": wanted.is_off, "until": wanted.until.isoformat(), "why": wanted.why}
    _write(ledger, told, now)


def slept(ledger: Ledger, site: str, count: int, now: datetime) -> None:
    """Keeps how many targets ran when the site was put to sleep. Raises ArrieroError."""
    _write(ledger, {"site": site, "count": count}, now)


def _read(store: Store) -> Orders:
    names = store.names(PREFIX)[-_NEWEST:]
    with ThreadPoolExecutor(8, thread_name_prefix="orders") as pool:
        found = [json.loads(each.data) for each in pool.map(store.read, names) if each]
    overrides: dict[str, Override] = {}
    counts: dict[str, int] = {}
    for told in found:
        site = str(told["site"])
        if "count" in told:
            counts[site] = int(told["count"])
        else:
            overrides[site] = Override(bool(told["off"]), datetime.fromisoformat(told["until"]), str(told["why"]))
    return Orders(overrides, counts)


def _write(ledger: Ledger, told: Mapping[str, Any], now: datetime) -> None:
    if ledger.authority is None:
        why = "; ".join(ledger.unread.values()) or "it is not there"
        raise ArrieroError(
            Problem(f"the ledger can't be written: {why}", "deploy the service first: arriero up", key="ledger")
        )
    data = json.dumps({"schema": 1, "at": now.isoformat(), **told}).encode()
    try:
        ledger.authority.create(f"{PREFIX}{stamp(now)}-{uuid4().hex[:8]}.json", data)
    except StoreError as error:
        raise ArrieroError(Problem(f"the ledger can't be written: {error}", "run it again", key="ledger")) from error
