"""What AWS's bill says, asked through the SDK of the emulated Cost Explorer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from aws_site import AwsSite
from botocore.stub import Stubber

from arriero.clouds.aws import spending
from arriero.clouds.aws.clients import HOME_REGION, clients
from arriero.errors import CloudError
from arriero.plan.model import SERVICE_TAG, SITE_TAG
from arriero.rehearse.meter import Usage

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)


def groups(*rows: tuple[str, str], unit: str = "USD", token: str = "") -> dict[str, Any]:
    found = [
        {"Keys": [f"{SITE_TAG}${site}"], "Metrics": {"UnblendedCost": {"Amount": a, "Unit": unit}}} for site, a in rows
    ]
    return {"ResultsByTime": [{"Groups": found}], **({"NextPageToken": token} if token else {})}


def test_the_emulated_bill_is_read_by_site(site: AwsSite) -> None:
    tags = {SERVICE_TAG: "llm", SITE_TAG: "aws-east"}
    for second in (0, 36):
        running = [Usage("us-east-1", tags, {"fargate.vcpu": 4.0})]
        site.aws._meter.tick(NOON + timedelta(seconds=second), running)
    assert spending.read("llm", date(2026, 5, 5), date(2026, 5, 5)) == {"aws-east": Decimal("0.0016192000")}
    assert spending.read("llm", date(2026, 5, 1), date(2026, 5, 4)) == {}
    assert spending.read("other", date(2026, 5, 1), date(2026, 6, 4)) == {}


def test_all_pages_are_added_up(site: AwsSite) -> None:
    with Stubber(clients().get("ce", HOME_REGION)) as stub:
        stub.add_response("get_cost_and_usage", groups(("a", "1.5"), ("", "0.25"), token="more"))
        stub.add_response("get_cost_and_usage", groups(("a", "2"), ("b", "1e-7")))
        found = spending.read("llm", date(2026, 5, 1), date(2026, 6, 4))
    assert found == {"a": Decimal("3.5"), "": Decimal("0.25"), "b": Decimal("1e-7")}


def test_another_currency_and_a_refusal_are_errors_in_words(site: AwsSite) -> None:
    explorer, refused = clients().get("ce", HOME_REGION), "User: arn:aws:iam::1:user/x is not authorized to perform: "
    with Stubber(explorer) as stub:
        stub.add_response("get_cost_and_usage", groups(("a", "1"), unit="EUR"))
        with pytest.raises(CloudError, match="AWS's bill is in EUR, and prices here are in USD"):
            spending.read("llm", date(2026, 5, 1), date(2026, 5, 1))
    with Stubber(explorer) as stub:
        words = f"{refused}ce:GetCostAndUsage on resource: arn:aws:ce:x"
        stub.add_client_error("get_cost_and_usage", "AccessDeniedException", words, 400)
        with pytest.raises(CloudError, match="may not do ce:GetCostAndUsage"):
            spending.read("llm", date(2026, 5, 1), date(2026, 5, 1))
