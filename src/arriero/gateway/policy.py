"""Which target gets a request. Pure: everything it looks at is in the targets and in `now`.

Order: healthy before what has just failed, active before standby, then by what the request would find there
(see `Finds`), then the smaller load, then the one that was asked less often.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import IntEnum

from arriero.gateway.target import Target

# A warm target may have this many requests a slot before a cold one is tried: a load takes seconds and evicts another
# model, a place in a short queue costs less.
QUEUE_PER_SLOT = 2


class Finds(IntEnum):
    """What a request finds at a target, best first."""

    A_FREE_SLOT = 0
    A_SHORT_QUEUE = 1
    AN_IDLE_SERVER_TO_LOAD = 2
    A_CROWD = 3


def choose(targets: Iterable[Target], model: str | None, tried: Collection[str], now: float) -> Target | None:
    """The best target that can take a request now and is not in `tried`; None when there is none.

    `model` is the one to run; None for a request that runs nothing (it finds a free slot everywhere).
    """
    best, best_key = None, None
    for target in targets:
        if not target.can_take or target.entry.id in tried:
            continue
        key = _key(target, model, now)
        if best_key is None or key < best_key:
            best, best_key = target, key
    return best


def finds(target: Target, model: str | None) -> Finds:
    if model is None:
        return Finds.A_FREE_SLOT
    slots, busy = target.slots, target.busy
    if target.is_resident(model) and busy < slots:
        return Finds.A_FREE_SLOT
    if (target.is_resident(model) or target.is_loading(model)) and busy < slots * QUEUE_PER_SLOT:
        return Finds.A_SHORT_QUEUE
    return Finds.AN_IDLE_SERVER_TO_LOAD if busy == 0 else Finds.A_CROWD


def _key(target: Target, model: str | None, now: float) -> tuple[bool, bool, int, float, int]:
    entry = target.entry
    has_failed = target.state == "suspect" or target.cooling_until > now
    load = (target.busy + 1) / (target.slots * target.weight)
    return has_failed, entry.role != "active", finds(target, model), load, target.turns
