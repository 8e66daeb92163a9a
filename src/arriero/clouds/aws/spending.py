"""What AWS's bill says of a service, from Cost Explorer: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_GetCostAndUsage.html

It knows tags only that were activated as cost allocation tags, and it is hours behind. AWS bills each question.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal

from arriero.clouds.aws.clients import HOME_REGION, clients
from arriero.clouds.aws.errors import door
from arriero.errors import CloudError, Problem
from arriero.plan.model import SERVICE_TAG, SITE_TAG

METRIC = "UnblendedCost"


def read(service: str, first: date, last: date) -> Mapping[str, Decimal]:
    """US dollars by site, from the first day to the last, both whole; what carries no site's tag is under "".

    Raises CloudError; also where the bill is in another currency.
    """
    wish = {
        "TimePeriod": {"Start": first.isoformat(), "End": (last + timedelta(days=1)).isoformat()},
        "Granularity": "MONTHLY",
        "Metrics": [METRIC],
        "Filter": {"Tags": {"Key": SERVICE_TAG, "Values": [service], "MatchOptions": ["EQUALS"]}},
        "GroupBy": [{"Type": "TAG", "Key": SITE_TAG}],
    }
    found: dict[str, Decimal] = {}
    explorer, token = clients().get("ce", HOME_REGION), ""
    with door(""):
        while True:
            answer = explorer.get_cost_and_usage(**wish, **({"NextPageToken": token} if token else {}))
            for group in (group for period in answer["ResultsByTime"] for group in period.get("Groups", ())):
                amount = group["Metrics"][METRIC]
                _refuse_other_currency(amount["Unit"])
                site = group["Keys"][0].partition("$")[2]
                found[site] = found.get(site, Decimal(0)) + Decimal(amount["Amount"])
            token = answer.get("NextPageToken", "")
            if not token:
                return found


def _refuse_other_currency(unit: str) -> None:
    if unit != "USD":
        problem = Problem(
            f"AWS's bill is in {unit}, and prices here are in USD", "compare by hand: it is not converted"
        )
        raise CloudError("", problem)
