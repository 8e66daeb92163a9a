"""The work that is asked of this gateway, as the control port tells it (`control/load.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from arriero.control.load import ENDED_WIDTH, Ended, GatewayLoad, Pending
from arriero.gateway.routing.pool import Pool
from arriero.gateway.telling.figures import Figures, add_up
from arriero.gateway.telling.metrics import LOAD_ROW

if TYPE_CHECKING:
    from arriero.gateway.context import Context
    from arriero.gateway.relay.waiting import Waiting


def told(context: Context) -> GatewayLoad:
    """What is over at all processes together, and what is pending at this one."""
    pending: dict[str, Pending] = {}

    def add(model: str, more: Pending) -> None:
        pending[model] = pending.get(model, Pending()) + more

    for each in context.open:
        if each.record.found:  # it runs a model
            add(each.record.model, Pending(1, each.record.received_bytes))
    lines = context.queue.admission.lines if context.queue is not None else {}
    for model, line in lines.items():
        waiting = [cast("Waiting", one) for one in line.everybody()]
        if waiting:
            add(model, Pending(waiting=len(waiting), waiting_bytes=sum(len(one.request.body) for one in waiting)))
    return GatewayLoad(_ended((context.metrics.figures, *context.beside)), pending, _speeds(context.pool))


def _speeds(pool: Pool) -> dict[str, dict[str, float]]:
    """The mean of a site's targets that have answered."""
    measured: dict[tuple[str, str], list[float]] = {}
    for target in pool:
        for model in target.inventory.on_disk:
            if pace := pool.speeds.tokens_per_second(target.entry.id, model):
                measured.setdefault((target.entry.site, model), []).append(pace)
    found: dict[str, dict[str, float]] = {}
    for (site, model), paces in measured.items():
        found.setdefault(site, {})[model] = round(sum(paces) / len(paces), 2)
    return found


def _ended(blocks: Iterable[Figures]) -> dict[str, Ended]:
    rows = {name: numbers for name, numbers in add_up(blocks).items() if name.startswith(LOAD_ROW)}
    return {
        name.removeprefix(LOAD_ROW).removesuffix("}"): Ended(*numbers)
        for name, numbers in rows.items()
        if len(numbers) == ENDED_WIDTH and any(numbers)
    }
