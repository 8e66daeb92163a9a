"""What counts, where the authority has moved from one store to the other. Pure, but for reading what is told.

A move is an object `authority/<epoch>-<store>-<known>`: from `epoch` on `store` decides, and it knew of what was
written under epochs up to `known`. Whoever did not see the move may have gone on at the other store, under epochs that
follow `known`. So the new ones begin so far after it that both never meet, and whatever lies between them counts no
more: nobody reads it for a release, in whichever store it is, and it stays where it is, to be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from arriero.releases.record import Record, record_from
from arriero.releases.store import Store, StoreError

MOVED, RECORDS, NOTES, ROLES = "authority/", "releases/", "notes/", "roles/"
# More leases than one side takes while nobody tells it of the move: a step of scaling each minute, for two years.
APART = 1_000_000
_MOVE = re.compile(rf"{MOVED}(\d+)-(\w+)-(\d+)")
_EPOCH = re.compile(r"releases/\d+-(\d+)\.json|notes/\d+/(\d+)-|journal/(\d+)/|authority/(\d+)-|roles/(\d+)\.")


def move_key(epoch: int, store: str, known: int) -> str:
    return f"{MOVED}{epoch:08d}-{store}-{known:08d}"


def moved_to(keys: Iterable[str]) -> str:
    """The store that the newest move names; empty where there was none."""
    moves = [move for key in keys if (move := _MOVE.fullmatch(key))]
    return max(moves, key=lambda move: int(move[1]))[2] if moves else ""


def epoch_of(key: str) -> int:
    """The epoch under which a key was written, by its name; 0 for the head, which has none."""
    found = _EPOCH.match(key)
    return int(next(filter(None, found.groups()))) if found else 0


def counted(keys: Sequence[str]) -> list[str]:
    """The keys but for records, notes and roles that were written where a move had taken the authority away."""
    between = [range(int(move[3]) + 1, int(move[1])) for key in keys if (move := _MOVE.fullmatch(key))]
    return [
        key
        for key in keys
        if not key.startswith((RECORDS, NOTES, ROLES)) or not any(epoch_of(key) in epochs for epochs in between)
    ]


def only_there(authority: Store, other: Store) -> Sequence[str]:
    """The keys of records that `other` has and the authority has not; none where one of them can't be read."""
    try:
        return sorted(set(other.names(RECORDS)) - set(authority.names(RECORDS)))
    except StoreError:
        return ()


def record_there(other: Store, key: str) -> Record | None:
    """One of these records; None where it can't be read."""
    try:
        found = other.read(key)
        return record_from(found.data) if found else None
    except (StoreError, ValueError, KeyError, TypeError):
        return None
