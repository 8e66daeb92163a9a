"""Each alarm of the clouds on planted series: one that fires, one that stays quiet; and the playbook that makes them.

They are judged here as the clouds document it: CloudWatch by M of N minutes, a missing one as the alarm says; Azure by
the mean over a window, which takes nothing for a missing minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from arriero.errors import Refused
from arriero.pipeline.alarms import azure, cloudwatch, files
from arriero.pipeline.alarms.azure import MetricAlert
from arriero.pipeline.alarms.cloudwatch import CloudWatchAlarm
from arriero.plan import place
from arriero.plan.model import Facts, SiteFacts
from arriero.rehearse.azure import schemas
from arriero.spec.model import Spec

Minutes = Sequence[Sequence[float]]
"""By minute the samples of that minute; none where nothing was told."""

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
SPEC = Spec.model_validate(
    {
        "name": "llm",
        "image": "registry.example.com/llm",
        "models": ["llama2"],
        "sites": {
            "aws-east": {"cloud": "aws", "region": "us-east-1"},
            "azure-east": {"cloud": "azure", "region": "eastus", "role": "standby"},
        },
    }
)
FACTS = Facts(
    "llm",
    {
        "aws-east": SiteFacts("aws-east", "aws", "us-east-1"),
        "azure-east": SiteFacts("azure-east", "azure", "eastus", account=SUBSCRIPTION),
    },
)


def is_alarm(alarm: CloudWatchAlarm, minutes: Minutes) -> bool:
    """After the last minute: `datapoints` of the last `periods` are beyond."""
    last = list(minutes)[-alarm.periods :]
    told = {
        "SampleCount": lambda samples: float(len(samples)),
        "Average": lambda samples: sum(samples) / len(samples),
        "Maximum": max,
    }[alarm.statistic]
    beyond = {"LessThanThreshold": lambda v: v < alarm.threshold, "GreaterThanThreshold": lambda v: v > alarm.threshold}
    is_beyond = beyond[alarm.comparison]
    found = [is_beyond(told(samples)) if samples else alarm.missing == "breaching" for samples in last]
    return len(last) == alarm.periods and sum(found) >= alarm.datapoints


def fires(alert: MetricAlert, minutes: Sequence[float | None]) -> bool:
    known = [value for value in minutes[-alert.window_minutes :] if value is not None]
    return bool(known) and sum(known) / len(known) > alert.threshold


ALARMS = {alarm.name.removeprefix("s-"): alarm for alarm in cloudwatch.alarms("s", "c", "us-east-1")}
ALERTS = {alert.name.removeprefix("g-"): alert for alert in azure.alerts("g", "rg", 3.8, 15.7)}
BUSY, CALM = (60.0, 97.0), (40.0, 60.0)


@pytest.mark.parametrize(
    ("name", "loud", "quiet"),
    [
        ("nothing-runs", [[50.0]] * 10 + [[]] * 5, [[]] * 10 + [[0.1]] + [[]] * 4),
        ("memory", [BUSY] * 10 + [CALM] * 5, [BUSY] * 9 + [CALM] * 6),
        ("cpu", [(99.0, 94.0)] * 30, [(99.0, 94.0)] * 29 + [(90.0, 99.0)]),
    ],
)
def test_a_cloudwatch_alarm_fires_and_stays_quiet(name: str, loud: Minutes, quiet: Minutes) -> None:
    assert is_alarm(ALARMS[name], loud)
    assert not is_alarm(ALARMS[name], quiet)


def test_missing_figures_are_an_alarm_of_one_alone() -> None:
    assert [name for name, alarm in ALARMS.items() if is_alarm(alarm, [[]] * 60)] == ["nothing-runs"]


@pytest.mark.parametrize(
    ("name", "loud", "quiet"),
    [("memory", 15.0e9, 14.0e9), ("cpu", 3700.0, 3500.0)],
)
def test_a_metric_alert_fires_and_stays_quiet(name: str, loud: float, quiet: float) -> None:
    alert = ALERTS[name]
    calm, busy = [quiet] * 60, [quiet] * (60 - alert.window_minutes) + [loud] * alert.window_minutes
    assert fires(alert, busy)
    assert not fires(alert, calm)
    assert not fires(alert, [*calm[:-1], loud]), "one minute is no trouble"
    assert not fires(alert, [None] * 60)


def test_every_alarm_was_tried() -> None:
    assert (set(ALARMS), set(ALERTS)) == ({"nothing-runs", "memory", "cpu"}, {"memory", "cpu"})


def test_a_metric_alert_is_what_arm_s_schema_takes() -> None:
    for alert in ALERTS.values():
        schemas.check(
            "Microsoft.Insights/metricAlerts", azure.API_VERSION, (alert.name,), dict(alert.body(SUBSCRIPTION))
        )
    broken: Any = dict(ALERTS["cpu"].body(SUBSCRIPTION))
    broken["properties"] = {**broken["properties"], "severity": "high"}
    with pytest.raises(Exception, match="severity"):
        schemas.check("Microsoft.Insights/metricAlerts", azure.API_VERSION, ("a",), broken)


def test_the_playbook_watches_every_service_and_group_of_the_plan() -> None:
    (play,) = YAML(typ="safe", pure=True).load(files.files(SPEC, FACTS)[files.PLAYBOOK])
    planned = place.plan(SPEC, FACTS)
    (group,) = [r.name for site in planned.sites for r in site.wanted if r.kind == "azure.container_group"]
    assert [task["name"] for task in play["tasks"]] == [
        "Watch llm-aws-east-nothing-runs",
        "Watch llm-aws-east-memory",
        "Watch llm-aws-east-cpu",
        f"Watch {group}-memory",
        f"Watch {group}-cpu",
    ]
    first = play["tasks"][0]["amazon.aws.cloudwatch_metric_alarm"]
    assert first["dimensions"] == {"ClusterName": "llm-aws-east", "ServiceName": "llm-aws-east"}
    assert first["treat_missing_data"] == "breaching"
    scopes = play["tasks"][3]["azure.azcollection.azure_rm_resource"]["body"]["properties"]["scopes"]
    assert scopes == [
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/llm-azure-east/providers/Microsoft.ContainerInstance/"
        f"containerGroups/{group}"
    ]


def test_this_machine_alone_is_watched_by_no_cloud(tmp_path: Path) -> None:
    del tmp_path
    spec = SPEC.model_copy(update={"sites": {"here": {"cloud": "local", "hosts": ["127.0.0.1"]}}})
    spec = Spec.model_validate({**SPEC.model_dump(exclude={"sites"}, exclude_unset=True), "sites": spec.sites})
    with pytest.raises(Refused, match="no site is in a cloud, so nothing there can watch it"):
        files.files(spec, Facts("llm", {"here": SiteFacts("here", "local", "")}))
