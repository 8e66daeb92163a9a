"""Which store decides: ends a lease by force, and gives the authority to the other store when the first is gone.

Two stores can't form a quorum. So authority is one store's, moves only by a person's word, and each move is an object
that is never changed: whoever sees both stores again follows the newest move. What only the former authority has from
then on is read by nobody, and told (`merging.py`).
"""

from __future__ import annotations

from dataclasses import replace

from arriero.errors import ArrieroError, Problem, Refused
from arriero.releases import head as heads
from arriero.releases.lease import read_head, write_head
from arriero.releases.ledger import unwritten
from arriero.releases.merging import APART, epoch_of, move_key
from arriero.releases.store import Conflict, Store, StoreError


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
        known = refuse_too_soon(store, epoch)
        store.create(move_key(epoch, store.name, known), b"{}")
        write_head(store, replace(head.freed(), epoch=epoch), found)
    except Conflict:
        raise ArrieroError(Problem("the authority was moved meanwhile", "look: arriero lock status")) from None
    except StoreError as error:
        raise ArrieroError(unwritten(store.name, str(error))) from error


def refuse_too_soon(store: Store, epoch: int) -> int:
    """Raises Refused where the other side, which may go on without a word of the move, could come to that epoch.
    Returns the newest one that is known here. Raises StoreError.
    """
    known = max([read_head(store)[0].epoch, *map(epoch_of, store.names())])
    if epoch < known + APART:
        what = f"whoever doesn't see the move could still come to that epoch; the newest known one is {known}"
        raise Refused(Problem(what, f"type --epoch {known + APART}, or a greater one", key="--epoch"))
    return known
