"""A site whose count the cloud scales, by plain ansible-playbook on the emulated AWS: made, tampered with, removed.

One site lives through all tests of this file, in their order.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_site import BASE, AwsSite, spec

from arriero.pipeline.iam import files as iam
from arriero.rehearse.permissions import AwsPolicies, Need

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.long]

SCALE = {"by": "cloud", "min": 1, "max": 3, "track": {"cpu": "60%", "memory": "90%", "requests": 3}}
WISH = spec(deploy={"stop_within": "2s"}, scale=SCALE, accounts={"aws": "123456789012"})
TARGET: dict[str, Any] = {
    "ServiceNamespace": "ecs",
    "ScalableDimension": "ecs:service:DesiredCount",
    "ResourceId": f"service/{BASE}/{BASE}",
}
CPU = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}


def alarms(site: AwsSite) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for alarm in site.client("cloudwatch").describe_alarms()["MetricAlarms"]:
        found.setdefault(alarm["MetricName"], []).append(alarm["Threshold"])
    return {name: sorted(thresholds) for name, thresholds in found.items()}


def test_it_is_made_once_and_a_second_run_changes_nothing(site: AwsSite) -> None:
    variables = site.variables(WISH)
    made = site.play("every_site.yml", variables)
    assert made.code == 0, made.output
    assert site.plan(WISH).changes == ()
    expected = {"CPUUtilization": [54.0, 60.0], "MemoryUtilization": [81.0, 90.0], "OpenRequests": [2.7, 3.0]}
    assert alarms(site) == expected
    again = site.play("every_site.yml", variables)
    assert (again.code, again.changed) == (0, 0), again.output


def test_a_count_that_the_cloud_chose_is_no_drift(site: AwsSite) -> None:
    site.client("ecs").update_service(cluster=BASE, service=BASE, desiredCount=3)
    assert site.plan(WISH).changes == ()
    assert site.plan(WISH).count == 3


def test_whatever_somebody_changed_is_seen_and_set_right(site: AwsSite) -> None:
    scaling = site.client("application-autoscaling")
    held = {"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False}
    scaling.register_scalable_target(MaxCapacity=9, SuspendedState=held, **TARGET)
    for name, goal in ((f"{BASE}-cpu", 90), ("somebodys", 50)):
        told = {"TargetValue": goal, **CPU}
        scaling.put_scaling_policy(
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=told,
            **TARGET,
        )
    scaling.put_scheduled_action(
        ScheduledActionName="theirs", Schedule="cron(0 1 * * ? *)", ScalableTargetAction={"MinCapacity": 1}, **TARGET
    )
    [change] = site.plan(WISH).changes
    assert {difference.property for difference in change.differences} == {
        "max", "suspended", "policies.cpu.target", "policies.cpu.cooldown_out", "policies.somebodys",
        "scheduled.theirs",
    }  # fmt: skip
    repaired = site.up(WISH)
    assert repaired.code == 0, repaired.output
    assert site.plan(WISH).changes == ()
    assert set(alarms(site)) == {"CPUUtilization", "MemoryUtilization", "OpenRequests"}
    assert scaling.describe_scheduled_actions(ServiceNamespace="ecs")["ScheduledActions"] == []


def test_the_clouds_own_clock_puts_it_to_sleep(site: AwsSite) -> None:
    asleep = WISH.model_copy(update={"off": spec(off="22:00-06:00 Europe/Berlin").off})
    assert site.up(asleep).code == 0
    assert site.plan(asleep).changes == ()
    found = site.client("application-autoscaling").describe_scheduled_actions(ServiceNamespace="ecs")
    assert sorted((each["Schedule"], each["Timezone"]) for each in found["ScheduledActions"]) == [
        ("cron(0 22 ? * MON,TUE,WED,THU,FRI,SAT,SUN *)", "Europe/Berlin"),
        ("cron(0 6 ? * MON,TUE,WED,THU,FRI,SAT,SUN *)", "Europe/Berlin"),
    ]


def test_it_goes_with_its_alarms_where_the_spec_leaves_the_count_to_the_controller(site: AwsSite) -> None:
    by_load = WISH.model_copy(update={"scale": spec().scale})
    assert [change.kind for change in site.plan(by_load).changes] == ["aws.scaling"]
    assert site.up(by_load).code == 0
    assert site.plan(by_load).changes == ()
    assert alarms(site) == {}


def test_with_the_site_nothing_of_it_is_left(site: AwsSite) -> None:
    assert site.up(WISH).code == 0
    gone = site.down()
    assert gone.code == 0, gone.output
    assert site.read().resources == ()
    assert site.client("application-autoscaling").describe_scaling_policies(ServiceNamespace="ecs")[
        "ScalingPolicies"
    ] == []  # fmt: skip
    assert alarms(site) == {}


def test_the_exported_permissions_allow_every_call_and_name_no_call_too_many(site: AwsSite) -> None:
    texts = {name: json.loads(text) for name, text in iam.files(WISH, Path()).items() if name.startswith("aws-")}
    lines = (site.folder / "requests.jsonl").read_text().splitlines()
    calls = [call for call in map(json.loads, lines) if call["action"].startswith("application-autoscaling:")]
    needs = [Need.of(need) for call in calls for need in call["needs"]]
    policies = AwsPolicies(texts.values())
    assert len(needs) > 20
    assert [need for need in needs if not need.is_known or not policies.allows(need)] == []
    given = {action for each in texts["aws-scaling.json"]["Statement"] for action in each["Action"]}
    assert given - {need.action for need in needs} == {"cloudwatch:PutMetricData"}
