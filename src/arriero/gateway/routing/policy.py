"""Which target gets a request now, or that it should wait. Pure.

The usual case first: the model is in memory where a slot is free, nothing speaks against that target, and the
conversation's beginning decides between several. Else every target's prospect is weighed in seconds (prospects.py):
the cheapest wins, and if that one has no place now, the request waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from arriero.gateway.routing.affinity import pick
from arriero.gateway.routing.prospects import Ask, Finds, Forecast, Prospect
from arriero.gateway.routing.speeds import Speeds
from arriero.gateway.routing.target import Target


def warm_and_free(
    targets: Iterable[Target], model: str, tried: Collection[str], tier: tuple[bool, float], now: float
) -> list[Target]:
    """Those of this tier without any fault that can answer at once. The hot path: every request comes here."""
    return [
        target
        for target in targets
        if model in target.memory.warm
        and target.state == "up"
        and target.in_flight + target.others < target.slots
        and target.tier == tier
        and target.cooling_until <= now
        and not (tried and target.entry.id in tried)
    ]


def choose(targets: Iterable[Target], ask: Ask, speeds: Speeds, now: float) -> Target | None:
    """The target for it now; None when it should wait, or when there is none at all."""
    prospects = forecast(targets, ask, speeds, now)
    best = min((each for each in prospects if each.can_now), key=_rank, default=None)
    if best is None or any(_is_better(each, best, ask) for each in prospects):
        return None
    if best.finds is not Finds.A_FREE_SLOT:
        return best.target
    return pick([each.target for each in prospects if each.finds is best.finds and each.cost == best.cost], ask.mark)


def forecast(targets: Iterable[Target], ask: Ask, speeds: Speeds, now: float) -> list[Prospect]:
    """What may be expected of each target that may serve it."""
    usable = [t for t in targets if t.can_take and t.has(ask.model) and t.entry.id not in ask.tried]
    return Forecast(usable, ask, speeds, now).all()


def any_of(targets: Iterable[Target], tried: Collection[str], now: float) -> Target | None:
    """A target for a request that runs nothing: it takes no slot, so it never waits."""
    usable = [target for target in targets if target.can_take and target.entry.id not in tried]
    return min(usable, key=lambda target: _idleness(target, now), default=None)


def _is_better(other: Prospect, best: Prospect, ask: Ask) -> bool:
    """Is it worth waiting for? A line for the model moves. A busy server that would load it is only hoped for, perhaps
    by many: so by the first of a line, and for no longer than what is gained.
    """
    if other.can_now:
        return False
    if other.finds is Finds.A_QUEUE:
        return other.cost < best.cost
    return not ask.ahead and ask.waited + other.cost < best.cost


def _rank(prospect: Prospect) -> tuple[float, bool, bool, int, float, int]:
    """Between equals: one that can now, with room, with less in memory, more places, that was asked less often."""
    target = prospect.target
    load = (target.busy + 1) / (target.slots * target.weight)
    memory = target.memory
    return prospect.cost, not prospect.can_now, not memory.has_room, memory.count, load, target.turns


def _idleness(target: Target, now: float) -> tuple[bool, tuple[bool, float], float, int]:
    has_failed = target.state == "suspect" or target.cooling_until > now
    return has_failed, target.tier, (target.busy + 1) / (target.slots * target.weight), target.turns
