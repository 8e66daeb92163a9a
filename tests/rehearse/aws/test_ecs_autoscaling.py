"""The emulated Application Auto Scaling with real processes: what is measured follows load, and counts follow that.

The clock is given: a minute passes when a test says so.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from emulated_cloud import EAST, Cloud, until
from two_containers import get, rows, start, tell_a_story

from arriero.clock import ManualClock
from arriero.rehearse.aws.autoscaling import AutoScaler
from arriero.rehearse.minutes import Minutes

TARGET: dict[str, Any] = {
    "ServiceNamespace": "ecs",
    "ScalableDimension": "ecs:service:DesiredCount",
    "ResourceId": "service/llm/llm",
}
MONDAY = datetime(2026, 11, 30, 12, tzinfo=UTC)


class Scaled:
    """A service of two containers a task, and the scaler of its cloud in the test's own hands."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.clock, self.minutes = cloud, ManualClock(MONDAY), Minutes()
        inner = cloud.aws
        self.scaler = AutoScaler(
            inner._world, inner._reconciler.running_in, inner._written, self.clock, 60.0, self.minutes
        )
        self.client = cloud.client("application-autoscaling")

    def track(self, least: int, most: int, **goals: float) -> None:
        self.client.register_scalable_target(MinCapacity=least, MaxCapacity=most, **TARGET)
        for name, goal in goals.items():
            metric: dict[str, Any] = {
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
            }
            if name == "requests":
                dimensions = [{"Name": "Service", "Value": "llm"}]
                custom = {"Namespace": "Arriero", "MetricName": "OpenRequests", "Statistic": "Average"}
                metric = {"CustomizedMetricSpecification": {**custom, "Dimensions": dimensions}}
            told = {"TargetValue": goal, "ScaleOutCooldown": 60, "ScaleInCooldown": 300, **metric}
            self.client.put_scaling_policy(
                PolicyName=name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=told,
                **TARGET,
            )

    def pass_minutes(self, count: int) -> None:
        for _ in range(count):
            self.clock.sleep(60)
            self.scaler.look()

    def count(self) -> int:
        return int(self.cloud.described("llm")["desiredCount"])

    def causes(self) -> list[str]:
        told = self.client.describe_scaling_activities(ServiceNamespace="ecs")["ScalingActivities"]
        return [f"{each['Description']} {each['Cause']}" for each in reversed(told)]


@pytest.fixture
def scaled(tmp_path: Path) -> Iterator[Scaled]:
    cloud = Cloud(tmp_path)
    try:
        start(cloud)
        yield Scaled(cloud)
    finally:
        cloud.close()


@contextlib.contextmanager
def streams(cloud: Cloud, count: int) -> Iterator[list[Any]]:
    """Long answers, open until the block ends."""
    address = rows(cloud, cloud.tasks("llm")[0])["sidecar"].address
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(tell_a_story(address, 300))) for _ in range(count)]
    for thread in threads:
        thread.start()
    until(lambda: f"arriero_sidecar_in_flight {count}" in get(address, "/metrics")[1])
    yield answers
    for thread in threads:
        thread.join()


def test_open_streams_are_load_and_have_more_started_and_their_end_has_fewer_run(scaled: Scaled) -> None:
    scaled.track(1, 3, cpu=60)
    with streams(scaled.cloud, 2) as answers:  # both slots of the only task
        scaled.pass_minutes(3)
        assert scaled.count() == 2
    assert [answer[-1]["done"] for answer in answers] == [True, True]
    until(lambda: scaled.cloud.is_stable("llm"))
    scaled.pass_minutes(16)
    assert scaled.count() == 1
    out, in_ = scaled.causes()
    assert out == "Setting desired count from 1 to 2. cpu at 100 is over 60"
    assert in_.startswith("Setting desired count from 2 to 1. cpu at ")
    found = scaled.cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["Threshold"]: alarm["StateValue"] for alarm in found} == {60.0: "OK", 54.0: "ALARM"}
    series = scaled.minutes.of(f"{EAST} service/llm/llm")
    assert series is not None
    values = [value for _, value in series.between("cpu", MONDAY, MONDAY + timedelta(hours=1), 60)]
    assert values[:3] == [100.0] * 3
    assert max(values[4:]) < 54


def test_what_somebody_tells_cloudwatch_counts_and_what_nobody_tells_does_not(scaled: Scaled) -> None:
    scaled.track(1, 5, requests=3)
    scaled.pass_minutes(20)
    assert scaled.count() == 1
    for _ in range(3):
        told = {"MetricName": "OpenRequests", "Dimensions": [{"Name": "Service", "Value": "llm"}], "Value": 7.0}
        when = {"Timestamp": scaled.clock.now() + timedelta(seconds=30)}
        scaled.cloud.client("cloudwatch").put_metric_data(Namespace="Arriero", MetricData=[{**told, **when}])
        scaled.pass_minutes(1)
    assert scaled.count() == 3
    scaled.pass_minutes(20)
    assert scaled.count() == 3


def test_its_own_clock_puts_it_to_sleep_and_wakes_it_unless_that_is_suspended(scaled: Scaled) -> None:
    scaled.track(1, 3, cpu=60)
    for name, at, least, most in (("off", "cron(30 12 ? * MON *)", 0, 0), ("on", "cron(0 13 ? * MON *)", 1, 3)):
        bounds = {"MinCapacity": least, "MaxCapacity": most}
        scaled.client.put_scheduled_action(
            ScheduledActionName=name, Schedule=at, Timezone="UTC", ScalableTargetAction=bounds, **TARGET
        )
    scaled.pass_minutes(29)
    assert scaled.count() == 1
    scaled.pass_minutes(1)
    assert scaled.count() == 0
    scaled.pass_minutes(30)
    assert scaled.count() == 1
    assert [cause.rpartition(". ")[2] for cause in scaled.causes()] == ["scheduled action off", "scheduled action on"]
    scaled.client.register_scalable_target(SuspendedState={"ScheduledScalingSuspended": True}, **TARGET)
    scaled.clock.sleep(7 * 86400 - 1800)
    scaled.scaler.look()
    assert scaled.count() == 1
