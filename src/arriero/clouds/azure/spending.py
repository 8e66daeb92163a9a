"""What Azure's bill says of a service, from Cost Management: https://learn.microsoft.com/rest/api/cost-management/query/usage

It is some hours behind. A subscription may ask only a few times a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from arriero.clouds.azure.connection import Found, connect
from arriero.clouds.azure.errors import door
from arriero.errors import CloudError, Problem
from arriero.plan.model import SERVICE_TAG, SITE_TAG

VERSION = "2023-11-01"
PATH = "/providers/Microsoft.CostManagement/query"


def read(service: str, first: date, last: date) -> Mapping[str, Decimal]:
    """US dollars by site, from the first day to the last, both whole; what carries no site's tag is under "".

    Raises CloudError; also where the bill is in another currency.
    """
    found: dict[str, Decimal] = {}
    with door(""):
        arm = connect()
        page: Found = arm.post(PATH, VERSION, _query(service, first, last))
        while True:
            properties = page["properties"]
            names = [str(column["name"]).lower() for column in properties["columns"]]
            for row in properties["rows"]:
                told = dict(zip(names, row, strict=True))
                _refuse_other_currency(str(told["currency"]))
                site = str(told.get("tagvalue") or "")
                found[site] = found.get(site, Decimal(0)) + Decimal(str(told["cost"]))
            following = properties.get("nextLink")
            if not following:
                return found
            page = arm.post_at(str(following), _query(service, first, last))


def _query(service: str, first: date, last: date) -> Found:
    return {
        "type": "ActualCost",
        "timeframe": "Custom",
        "timePeriod": {"from": f"{first}T00:00:00Z", "to": f"{last}T23:59:59Z"},
        "dataset": {
            "granularity": "None",
            "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
            "grouping": [{"type": "TagKey", "name": SITE_TAG}],
            "filter": {"tags": {"name": SERVICE_TAG, "operator": "In", "values": [service]}},
        },
    }


def _refuse_other_currency(currency: str) -> None:
    if currency != "USD":
        what = f"Azure's bill is in {currency}, and prices here are in USD"
        raise CloudError("", Problem(what, "compare by hand: it is not converted"))
