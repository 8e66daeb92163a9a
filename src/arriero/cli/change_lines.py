"""How a single change of a plan looks, in a terminal and as JSON; and the changes of what stands beside the sites."""

from __future__ import annotations

from arriero.plan.model import Change, StorePlan

MARKS = {"create": "+", "update": "~", "replace": "±", "remove": "-"}


def change_line(change: Change) -> str:
    kind = change.kind.partition(".")[2].replace("_", " ")
    return f"  {MARKS[change.action]} {kind} {change.name}: {change.reason}"


def change_json(change: Change) -> dict[str, object]:
    return {
        "action": change.action,
        "kind": change.kind,
        "name": change.name,
        "reason": change.reason,
        "differences": [{"property": d.property, "found": d.found, "wanted": d.wanted} for d in change.differences],
    }


def store_json(store: StorePlan) -> dict[str, object]:
    return {
        "cloud": store.cloud,
        "name": store.name,
        "region": store.region,
        "changes": [change_json(change) for change in store.changes],
        "problem": store.problem.as_json() if store.problem else None,
    }
