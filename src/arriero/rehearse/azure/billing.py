"""Cost Management of the emulated Azure: the query for a bill by tag, answered from the meter.

No schema of this request is at hand: it is held against the fields of Microsoft's page "Query - Usage", and what isn't
a bill by two tags is refused.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from arriero.plan.model import SERVICE_TAG, SITE_TAG
from arriero.rehearse.azure.answers import Answer, ArmError, Request
from arriero.rehearse.meter import Meter

_TOP = {"type", "timeframe", "timePeriod", "dataset"}
_DATASET = {"granularity", "aggregation", "grouping", "filter", "configuration", "sorting"}
_COLUMNS = (("Cost", "Number"), ("TagKey", "String"), ("TagValue", "String"), ("Currency", "String"))


def is_asked(parts: list[str]) -> bool:
    """`parts` is the path behind /subscriptions/S."""
    return [part.lower() for part in parts] == ["providers", "microsoft.costmanagement", "query"]


def answer(meter: Meter, request: Request) -> Answer:
    """Raises ArmError for what it does not understand."""
    if request.method != "POST":
        raise ArmError(405, "MethodNotAllowed", f"The query is asked by POST, not by {request.method}.")
    asked = request.document()
    service, first, last = _understood(asked)
    rows = [[float(amount), SITE_TAG, site, "USD"] for site, amount in sorted(meter.bill(service, first, last).items())]
    columns = [{"name": name, "type": kind} for name, kind in _COLUMNS]
    properties = {"nextLink": None, "columns": columns, "rows": rows}
    return Answer(200, {"type": "Microsoft.CostManagement/query", "properties": properties})


def _understood(asked: dict[str, Any]) -> tuple[str, date, date]:
    dataset = asked.get("dataset") or {}
    if unknown := sorted({*(asked.keys() - _TOP), *(dataset.keys() - _DATASET)}):
        raise _wrong(f"unknown fields {', '.join(unknown)}")
    if asked.get("type") != "ActualCost" or asked.get("timeframe") != "Custom":
        raise _wrong("only the actual cost of a custom time is emulated")
    if dataset.get("aggregation") != {"totalCost": {"name": "Cost", "function": "Sum"}}:
        raise _wrong("only the sum of Cost is emulated")
    if dataset.get("grouping") != [{"type": "TagKey", "name": SITE_TAG}]:
        raise _wrong(f"only a grouping by the tag {SITE_TAG} is emulated")
    tags = (dataset.get("filter") or {}).get("tags") or {}
    if tags.get("name") != SERVICE_TAG or tags.get("operator") != "In" or len(tags.get("values") or ()) != 1:
        raise _wrong(f"only a filter by one value of the tag {SERVICE_TAG} is emulated")
    try:
        first, last = (date.fromisoformat(asked["timePeriod"][key][:10]) for key in ("from", "to"))
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong("timePeriod needs from and to") from error
    return str(tags["values"][0]), first, last


def _wrong(what: str) -> ArmError:
    return ArmError(400, "BadRequest", f"Invalid query definition: {what}.")
