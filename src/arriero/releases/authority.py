"""Which store decides: ends a lease by force, and gives the authority to the other store when the first is gone.

Two stores can't form a quorum. So authority is one store's, moves only by a person's word, and each move is an object
`authority/<epoch>-<store>` that is never changed: whoever sees both stores again follows the newest move. What only the
former authority has from then on is read by nobody, and told (`only_there`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arriero.errors import ArrieroError, Problem, Refused
from arriero.releases import head as heads
from arriero.releases.lease import read_head, write_head
from arriero.releases.ledger import RECORDS, unwritten
from arriero.releases.store import Conflict, Store, StoreError

MOVED = "authority/"


def break_lease(store: Store) -> heads.Holder:
    """Takes the lease from whoever holds it, by a new epoch; returns who that was. Raises Refused, ArrieroError.

    Its next beat, record or note is refused, and its runner ends; what it has begun stays as it is until the next `up`.
    """
    try:
        head, found = read_head(store)
        if head.holder is None:
            raise Refused(Problem("nobody holds the lease", "run arriero up"))
        write_head(store, replace(head.freed(), epoch=head.epoch + 1), found)
    except Conflict:
        raise ArrieroError(Problem("the head was changed meanwhile", "look: arriero lock status")) from None
    except StoreError as error:
        raise ArrieroError(unwritten(store.name, str(error))) from error
    return head.holder


def move(store: Store, epoch: int) -> None:
    """Gives `store` the authority from `epoch` on, which must be one to come. Raises Refused, ArrieroError.

    The caller has seen that the former authority does not answer.
    """
    try:
        head, found = read_head(store)
        if epoch <= head.epoch:
            raise Refused(wrong_epoch(head.epoch + 1))
        store.create(f"{MOVED}{epoch:08d}-{store.name}", b"{}")
        write_head(store, replace(head.freed(), epoch=epoch), found)
    except Conflict:
        raise ArrieroError(Problem("the authority was moved meanwhile", "look: arriero lock status")) from None
    except StoreError as error:
        raise ArrieroError(unwritten(store.name, str(error))) from error


def wrong_epoch(right: int) -> Problem:
    return Problem("that epoch has passed", f"type --epoch {right}, or a greater one", key="--epoch")


def only_there(authority: Store, other: Store) -> Sequence[str]:
    """The records that `other` has and the authority has not: written there after the authority had moved."""
    try:
        return sorted(set(other.names(RECORDS)) - set(authority.names(RECORDS)))
    except StoreError:
        return ()
