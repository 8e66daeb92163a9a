"""What Azure's bill says, asked of the emulated Cost Management."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from azure_sites import Azure

from arriero.clouds.azure import spending
from arriero.clouds.azure.connection import Arm
from arriero.errors import CloudError
from arriero.plan.model import SERVICE_TAG, SITE_TAG
from arriero.rehearse.azure import billing
from arriero.rehearse.azure.answers import ArmError, Request
from arriero.rehearse.meter import Usage

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)


def page(*rows: list[Any], following: str | None = None) -> dict[str, Any]:
    columns = [{"name": name, "type": "String"} for name in ("Cost", "TagKey", "TagValue", "Currency")]
    return {"properties": {"nextLink": following, "columns": columns, "rows": list(rows)}}


def test_the_emulated_bill_is_read_by_site(azure: Azure) -> None:
    tags = {SERVICE_TAG: "llm", SITE_TAG: "azure-east"}
    for second in (0, 36):
        azure.emulator._meter.tick(NOON + timedelta(seconds=second), [Usage("eastus", tags, {"aci.vcpu": 4.0})])
    with azure.entered():
        assert float(spending.read("llm", date(2026, 5, 5), date(2026, 5, 5))["azure-east"]) == pytest.approx(0.00162)
        assert spending.read("llm", date(2026, 5, 6), date(2026, 5, 7)) == {}
        assert spending.read("other", date(2026, 5, 1), date(2026, 5, 7)) == {}


def test_all_pages_are_added_up(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answers = [
        page([1.5, SITE_TAG, "a", "USD"], following="https://management.azure.com/more"),
        page([2, SITE_TAG, "a", "USD"], [0.25, SITE_TAG, None, "USD"]),
    ]

    def post_at(_: Arm, url: str, body: Any = None) -> Any:
        asked.append(url)
        assert body["dataset"]["filter"]["tags"]["values"] == ["llm"]
        return answers[len(asked) - 1]

    monkeypatch.setattr(Arm, "post_at", post_at)
    with azure.entered():
        found = spending.read("llm", date(2026, 5, 1), date(2026, 5, 2))
    assert {site: float(amount) for site, amount in found.items()} == {"a": 3.5, "": 0.25}
    assert asked[1] == "https://management.azure.com/more"


def test_another_currency_is_an_error(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Arm, "post_at", lambda *_: page([1.5, SITE_TAG, "a", "EUR"]))
    with azure.entered(), pytest.raises(CloudError, match="Azure's bill is in EUR, and prices here are in USD"):
        spending.read("llm", date(2026, 5, 1), date(2026, 5, 2))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"type": "ActualCost", "timeframe": "Custom", "kolor": 1}',
        b'{"type": "ActualCost", "timeframe": "Custom", "dataset": {"aggregation": {}}}',
    ],
)
def test_the_emulated_query_refuses_what_it_does_not_know(body: bytes, azure: Azure) -> None:
    request = Request.of("POST", "management.azure.com", "/x?api-version=2023-11-01", {}, body)
    with pytest.raises(ArmError, match="Invalid query definition"):
        billing.answer(azure.emulator._meter, request)
