"""Weeks of an ECS service's figures, read through the SDK from the emulated CloudWatch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from aws_site import REF, AwsSite

from arriero.clouds import metrics
from arriero.plan.model import Resource, SiteFacts

START = datetime(2026, 11, 1, tzinfo=UTC)
FOUND = SiteFacts(
    "aws-east", "aws", "us-east-1", resources=(Resource("aws.service", "llm-aws-east"), Resource("aws.vpc", "x"))
)


def plant(site: AwsSite, name: str, cpu: list[float], memory: list[float]) -> None:
    folder = site.folder / "metrics"
    folder.mkdir(exist_ok=True)
    told = {"start": START.isoformat(), "step": 60, "cpu": cpu, "memory": memory}
    (folder / f"{name}.json").write_text(json.dumps(told))


def read(site: AwsSite, days: float = 30, found: SiteFacts = FOUND) -> metrics.Series:
    since = START + timedelta(days=9) - timedelta(days=days)
    return metrics.read([(REF, found, since)], START + timedelta(days=9))["aws-east"]


def test_five_minutes_are_one_sample_over_all_pages(site: AwsSite) -> None:
    minutes = 8 * 24 * 60
    plant(site, "llm-aws-east", [float(number % 50) for number in range(minutes)], [40.0] * minutes)
    found = read(site)
    assert (len(found.at), found.at[0], found.days) == (minutes // 5, START, 8.0)
    assert found.cpu[:3] == (2.0, 7.0, 12.0)
    assert set(found.memory) == {40.0}


def test_only_what_was_asked_for_and_what_both_know(site: AwsSite) -> None:
    plant(site, "llm-aws-east", [1.0] * 600, [2.0] * 300)
    assert len(read(site).at) == 60
    assert read(site, days=1).at == ()


def test_what_nobody_measured_is_nothing(site: AwsSite) -> None:
    plant(site, "other-site", [1.0] * 100, [2.0] * 100)
    (site.folder / "metrics" / "llm-aws-east.json").unlink(missing_ok=True)
    assert read(site) == metrics.Series()
    assert read(site, found=SiteFacts("aws-east", "aws", "us-east-1")) == metrics.Series()


@pytest.mark.parametrize("namespace", ["Ours"])
def test_all_else_is_answered_as_before(site: AwsSite, namespace: str) -> None:
    watch = site.client("cloudwatch")
    now = datetime.now(UTC)
    watch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "x", "Value": 7.0, "Timestamp": now}])
    query = {"Metric": {"Namespace": namespace, "MetricName": "x"}, "Period": 60, "Stat": "Average"}
    told = watch.get_metric_data(
        MetricDataQueries=[{"Id": "x", "MetricStat": query}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
    )
    assert told["MetricDataResults"][0]["Values"] == [7.0]
