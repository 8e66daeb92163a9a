"""Cost Explorer of the emulated AWS: GetCostAndUsage, answered from the meter.

Understood is what a bill by tag needs: one tag to filter by, one to group by, months or days. Anything else is refused,
and not answered as if it had been asked otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from arriero.plan.model import SERVICE_TAG, SITE_TAG
from arriero.rehearse.meter import Meter

METRIC = "UnblendedCost"


class NotUnderstood(Exception):
    """What the emulated Cost Explorer doesn't know."""


def answer(meter: Meter, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's JSON. Raises NotUnderstood."""
    service = _service(asked)
    if asked.get("Metrics") != [METRIC] or asked.get("GroupBy") != [{"Type": "TAG", "Key": SITE_TAG}]:
        raise NotUnderstood(f"only Metrics [{METRIC}] grouped by the tag {SITE_TAG} are emulated")
    start, end = (date.fromisoformat(asked["TimePeriod"][key]) for key in ("Start", "End"))
    if start >= end:
        raise NotUnderstood("Start date (and hour) should be before end date (and hour)")
    return {
        "GroupDefinitions": asked["GroupBy"],
        "ResultsByTime": [_period(meter, service, *part) for part in _periods(start, end, asked["Granularity"])],
        "DimensionValueAttributes": [],
    }


def _service(asked: Mapping[str, Any]) -> str:
    tags = asked.get("Filter", {}).get("Tags", {})
    if tags.get("Key") != SERVICE_TAG or len(tags.get("Values", ())) != 1:
        raise NotUnderstood(f"only a filter by one value of the tag {SERVICE_TAG} is emulated")
    return str(tags["Values"][0])


def _period(meter: Meter, service: str, start: date, end: date) -> dict[str, Any]:
    bill = meter.bill(service, start, end - timedelta(days=1))
    groups = [
        {"Keys": [f"{SITE_TAG}${site}"], "Metrics": {METRIC: {"Amount": f"{amount:.10f}", "Unit": "USD"}}}
        for site, amount in sorted(bill.items())
    ]
    period = {"Start": start.isoformat(), "End": end.isoformat()}
    return {"TimePeriod": period, "Total": {}, "Groups": groups, "Estimated": True}


def _periods(start: date, end: date, granularity: str) -> Iterator[tuple[date, date]]:
    while start < end:
        month = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
        until = min(end, month if granularity == "MONTHLY" else start + timedelta(days=1))
        yield start, until
        start = until
