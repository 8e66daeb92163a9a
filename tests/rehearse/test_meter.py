"""The stage's meter: seconds become dollars by the catalog's prices, and by day, service and site."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from arriero.plan.model import SERVICE_TAG, SITE_TAG
from arriero.rehearse.aws import billing
from arriero.rehearse.meter import Meter, Usage

NIGHT = datetime(2026, 11, 29, 23, 59, 40, tzinfo=UTC)
TODAY = date(2026, 11, 29)


def task(site: str = "east", region: str = "us-east-1", service: str = "llm") -> Usage:
    return Usage(region, {SERVICE_TAG: service, SITE_TAG: site}, {"fargate.vcpu": 4.0, "fargate.memory": 16.0})


def meter(tmp_path: Path) -> Meter:
    return Meter("aws", tmp_path / "meter.json")


def test_a_minute_of_two_tasks_costs_a_sixtieth_of_their_hour(tmp_path: Path) -> None:
    found = meter(tmp_path)
    for step in range(7):
        found.tick(NIGHT - timedelta(minutes=5) + timedelta(seconds=10 * step), [task(), task()])
    # 2 x (4 x 0.04048 + 16 x 0.004445) / 60
    assert found.bill("llm", TODAY, TODAY)["east"] == pytest.approx(Decimal("0.00776800"))


def test_bills_are_apart_by_day_service_and_site(tmp_path: Path) -> None:
    found = meter(tmp_path)
    for step in range(5):
        running = [
            task(),
            task("west", "us-west-2"),
            task(service="other"),
            Usage("us-east-1", {}, {"fargate.vcpu": 1}),
        ]
        found.tick(NIGHT + timedelta(seconds=10 * step), running)
    today, tomorrow = found.bill("llm", TODAY, TODAY), found.bill("llm", *[TODAY + timedelta(days=1)] * 2)
    assert set(today) == set(tomorrow) == {"east", "west"}
    assert float(tomorrow["east"]) == pytest.approx(3 * float(today["east"]))
    assert set(found.bill("other", TODAY, TODAY)) == {"east"}
    assert found.bill("llm", TODAY - timedelta(days=9), TODAY - timedelta(days=1)) == {}


def test_an_unpriced_region_costs_nothing_and_a_sleeping_machine_neither(tmp_path: Path) -> None:
    found = meter(tmp_path)
    found.tick(NIGHT, [task(region="sa-east-1")])
    found.tick(NIGHT + timedelta(seconds=10), [task(region="sa-east-1")])
    found.tick(NIGHT + timedelta(hours=3), [task()])
    found.tick(NIGHT + timedelta(hours=2), [task()])
    assert found.bill("llm", TODAY, TODAY + timedelta(days=1)) == {}


def test_a_stage_that_starts_again_goes_on_counting(tmp_path: Path) -> None:
    first = meter(tmp_path)
    for step in range(2):
        first.tick(NIGHT + timedelta(seconds=10 * step), [task()])
    first.keep()
    assert meter(tmp_path).bill("llm", TODAY, TODAY) == first.bill("llm", TODAY, TODAY) != {}


def asked(**changes: object) -> dict[str, object]:
    return {
        "TimePeriod": {"Start": "2026-10-15", "End": "2026-12-01"},
        "Granularity": "MONTHLY",
        "Metrics": ["UnblendedCost"],
        "Filter": {"Tags": {"Key": SERVICE_TAG, "Values": ["llm"]}},
        "GroupBy": [{"Type": "TAG", "Key": SITE_TAG}],
        **changes,
    }


def test_cost_explorer_answers_month_by_month(tmp_path: Path) -> None:
    found = meter(tmp_path)
    for step in range(2):
        found.tick(NIGHT + timedelta(seconds=10 * step), [task()])
    told = billing.answer(found, asked())["ResultsByTime"]
    assert [each["TimePeriod"] for each in told] == [
        {"Start": "2026-10-15", "End": "2026-11-01"},
        {"Start": "2026-11-01", "End": "2026-12-01"},
    ]
    assert [[group["Keys"] for group in each["Groups"]] for each in told] == [[], [["arriero-site$east"]]]
    assert len(billing.answer(found, asked(Granularity="DAILY"))["ResultsByTime"]) == 47


@pytest.mark.parametrize(
    "changes",
    [
        {"Filter": {"Dimensions": {"Key": "SERVICE", "Values": ["x"]}}},
        {"Filter": {"Tags": {"Key": SERVICE_TAG, "Values": ["a", "b"]}}},
        {"GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}]},
        {"Metrics": ["UsageQuantity"]},
        {"TimePeriod": {"Start": "2026-12-01", "End": "2026-12-01"}},
    ],
)
def test_what_it_does_not_know_is_refused(changes: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(billing.NotUnderstood):
        billing.answer(meter(tmp_path), asked(**changes))
