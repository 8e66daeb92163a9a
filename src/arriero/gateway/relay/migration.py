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


def elsewhere(context: Context, former: Target, model: str, tried: list[str]) -> Target | Without:
    """A target with the very same model.

    Whatever ended one target may be ending its whole site at this moment, so that a stream would be cut twice: one of
    another site comes first, if it has the model in memory and a free slot.
    """
    digest = former.inventory.digest(model)
    others = [target.entry.id for target in context.pool if target.inventory.digest(model) != digest]
    siblings = [target.entry.id for target in context.pool if target.entry.site == former.entry.site]
    away = context.pool.find(model, True, [*tried, *others, *siblings], context.now())
    if isinstance(away, Target) and away.is_resident(model) and away.busy < away.slots:
        return away
    return context.pool.find(model, True, [*tried, *others], context.now())
