"""Orders about roles in the ledger: `roles/<epoch>.json`, made once under the deployers' lease and never changed.

The epoch is the lease's, which nobody else ever holds: so of two who decide at once one writes, and orders have one
sequence, also after the authority moved. What was written where a move had taken it away counts no more (`merging.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from arriero.errors import ArrieroError
from arriero.plan.roles import RoleOrder
from arriero.releases import merging
from arriero.releases.lease import Lease
from arriero.releases.ledger import Ledger, unwritten
from arriero.releases.merging import MOVED, ROLES
from arriero.releases.store import Absent, Conflict, Store, StoreError


def read(ledger: Ledger) -> RoleOrder | None:
    """The newest order of the first store that can be read; RoleOrder() where none was given, None where none can be
    read.
    """
    for store in ledger.stores:
        try:
            return _newest(store)
        except Absent:
            return RoleOrder()
        except (StoreError, ValueError, KeyError, TypeError):
            continue
    return None


def write(ledger: Ledger, lease: Lease, order: RoleOrder) -> str:
    """Has it written under the lease, whose epoch is the order's turn; returns why the replica lags, or nothing.

    Raises Lost where the lease is another's by now, ArrieroError where the store does not take it.
    """
    assert ledger.authority is not None
    lease.require()
    data = json.dumps({"schema": 1, **asdict(order)}).encode()
    try:
        ledger.authority.create(_key(order.turn), data)
    except (Conflict, StoreError) as error:
        # A store that wrote and then failed has it: nobody else writes under this epoch.
        if not _is_there(ledger.authority, _key(order.turn), data):
            raise ArrieroError(unwritten(ledger.authority.name, str(error))) from error
    return ledger.copy()


def _newest(store: Store) -> RoleOrder:
    keys = merging.counted([*store.names(ROLES), *store.names(MOVED)])
    found = store.read(max((key for key in keys if key.startswith(ROLES)), default=""))
    if found is None:
        return RoleOrder()
    told: dict[str, Any] = json.loads(found.data)
    return RoleOrder(**{name: told[name] for name in RoleOrder.__dataclass_fields__})


def _is_there(store: Store, key: str, data: bytes) -> bool:
    try:
        found = store.read(key)
    except StoreError:
        return False
    return found is not None and found.data == data


def _key(turn: int) -> str:
    return f"{ROLES}{turn:08d}.json"
