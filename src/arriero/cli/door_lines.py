"""How the service's Front Door looks in a plan: its price, its changes, and what it does not do."""

from __future__ import annotations

from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cli.change_lines import change_line, store_json
from arriero.cost import front_door as cost
from arriero.cost.estimate import Estimate
from arriero.plan import front_door
from arriero.plan import front_door_names as names
from arriero.plan.model import SiteFacts, StorePlan
from arriero.spec.model import Spec


def estimated(plan: StorePlan | None, spec: Spec, prices: Prices = BUILT_IN) -> Estimate | None:
    """Its price, beside those of the sites; None where none is asked for."""
    door = spec.ingress.front_door
    return cost.estimate(door.sku, plan.region, prices) if plan and door else None


def plan_lines(plan: StorePlan | None, spec: Spec, prices: Prices = BUILT_IN) -> list[str]:
    """A paragraph as a site has it; nothing where none is asked for."""
    door, estimate = spec.ingress.front_door, estimated(plan, spec, prices)
    if plan is None or door is None or estimate is None:
        return []
    head = f"front door: Azure Front Door, {door.sku}, {estimate.sentence} and by use"
    if plan.problem:
        return [head, f"  ! {plan.problem}"]
    changes = [change_line(change) for change in plan.changes] or ["  nothing to do"]
    return [head, *changes, *(f"  note: {note}" for note in (*plan.notes, *front_door.notes(spec)))]


def as_json(plan: StorePlan | None, spec: Spec, prices: Prices = BUILT_IN) -> dict[str, object] | None:
    estimate = estimated(plan, spec, prices)
    if plan is None:
        return None
    price = estimate.as_json() if estimate else None
    return {**store_json(plan), "price": price, "notes": [*plan.notes, *front_door.notes(spec)]}


def to_do_lines(found: SiteFacts | None) -> list[str]:
    """What is left to do in the user's DNS after a deployment; nothing where every name is approved."""
    return [f"Front Door: {name}" for name in names.standing(found) if not name.is_approved]
