"""Where a cut answer may go on, and with what: asked once a cut, by the exchange that it befell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arriero.gateway.relay.carry import CannotCarry, Carry, plan
from arriero.gateway.relay.continuation import Spent
from arriero.gateway.relay.stream import Stream
from arriero.gateway.routing.pool import Without
from arriero.gateway.routing.target import Target
from arriero.gateway.wire.request import Request

if TYPE_CHECKING:
    from arriero.gateway.context import Context

OPT_OUT = b"x-arriero-migrate"


def way_on(
    context: Context, request: Request, stream: Stream, former: Target, model: str, tried: list[str], spent: Spent
) -> tuple[Carry, Target | Without]:
    """What to ask for the rest of the answer that `former` began, and where; raises CannotCarry."""
    if any(value.lower() == b"never" for value in request.all_of(OPT_OUT)):
        raise CannotCarry("the request says so")
    loaded = former.inventory.resident.get(model, {}).get("context_length")
    reading = context.readings.get(former.inventory.digest(model))
    length = loaded if isinstance(loaded, int) else None
    carry = plan(request.path, request.body, stream.kept, reading, spent, length)
    other = elsewhere(context, former, model, tried)
    if not isinstance(other, Target) and other is not Without.PLACE:
        raise CannotCarry(f"no target with the same model {other.value}")
    return carry, other


def elsewhere(
    context: Context, former: Target, model: str, tried: list[str], has_begun: bool = True
) -> Target | Without:
    """A target after one that ended; for an answer that had begun one with the very same model.

    Whatever ended one target may be ending others at this moment, so that a stream would be cut twice, or a request end
    under two: the rest of its site, or of its release, where a newer one stands beside it. Who is of neither comes
    first, then who is of a newer release, then who is of another site, were it a standby; each only if it has the model
    in memory and a free slot.
    """
    digest = former.inventory.digest(model)
    others = [t.entry.id for t in context.pool if has_begun and t.inventory.digest(model) != digest]
    siblings = [target.entry.id for target in context.pool if target.entry.site == former.entry.site]
    leaving = _leaving(context, former)
    for at_risk in ([*leaving, *siblings], leaving, siblings) if leaving else (siblings,):
        away = context.pool.find(model, True, [*tried, *others, *at_risk], context.now())
        if isinstance(away, Target) and away.is_resident(model) and away.busy < away.slots:
            return away
    return context.pool.find(model, True, [*tried, *others], context.now())


def _leaving(context: Context, former: Target) -> list[str]:
    """Those of the release and of older ones, where a newer one stands that is not on trial."""
    mine = former.entry.release or 0
    newer = [target.entry.id for target in context.pool if (target.entry.release or 0) > mine]
    if not newer or context.pool.trial is not None:
        return []
    return [target.entry.id for target in context.pool if target.entry.id not in newer]
