"""Each alarm of the clouds on planted series: one that fires, one that stays quiet; and the playbook that makes them.

They are judged here as the clouds document it: CloudWatch by M of N minutes, a missing one as the alarm says; Azure by
the mean over a window, which takes nothing for a missing minute, and by the number of lines that a question finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from arriero.clouds.azure import workspaces
from arriero.errors import Refused
from arriero.pipeline.alarms import azure, azure_logs, cloudwatch, files
from arriero.pipeline.alarms.azure import MetricAlert
from arriero.pipeline.alarms.azure_logs import LogAlert
from arriero.pipeline.alarms.cloudwatch import CloudWatchAlarm
from arriero.plan import place
from arriero.plan.model import Facts, SiteFacts
from arriero.rehearse.azure import log_query, schemas
from arriero.rehearse.azure.answers import ArmError
from arriero.rehearse.azure.log_query import Row
from arriero.spec.logs import Logs
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


LOG_ALERTS = {
    alert.name.removeprefix("llm-azure-east-"): alert for alert in azure_logs.alerts("llm-azure-east", "eastus")
}
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
FAILED = 'time=2026-11-29T11:59:00.000Z level=ERROR source=sched.go:455 msg="error loading llama server"'
BEGUN = 'time=2026-11-29T11:59:00.000Z level=INFO source=routes.go:1297 msg="Listening on [::]:11434 (version 0.6.5)"'


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


def lines(number: int, text: str, group: str = "r1-1", container: str = "ollama", back: float = 5) -> list[Row]:
    """So many of them, that many minutes ago."""
    told = {"ContainerGroup_s": f"llm-azure-east-{group}", "ContainerName_s": container, "Message": text}
    return [Row(NOON - timedelta(minutes=back), told)] * number


def asks(alert: LogAlert, rows: list[Row]) -> bool:
    """Whether some group has too many lines that the question finds in the window."""
    within = [row for row in rows if row.at > NOON - timedelta(minutes=azure_logs.WINDOW_MINUTES)]
    if not within:
        return False
    (table,) = log_query.answer(alert.question, within)["tables"]
    column = [each["name"] for each in table["columns"]].index(azure_logs.GROUP_COLUMN)
    by_group = Counter(row[column] if alert.is_by_group else "all" for row in table["rows"])
    return any(number > alert.threshold for number in by_group.values())


@pytest.mark.parametrize(
    ("name", "loud", "quiet"),
    [
        ("restarts", lines(4, BEGUN), lines(3, BEGUN) + lines(3, BEGUN, "r1-2")),
        ("restarts", lines(4, BEGUN, "r2-1"), lines(9, BEGUN, container="sidecar") + lines(9, BEGUN, back=31)),
        ("errors", lines(6, FAILED) + lines(5, FAILED, "r1-2"), lines(10, FAILED) + lines(50, BEGUN)),
        ("errors", lines(11, FAILED), lines(11, FAILED, "seed") + lines(11, FAILED, back=40)),
    ],
)
def test_a_log_alert_fires_and_stays_quiet(name: str, loud: list[Row], quiet: list[Row]) -> None:
    assert asks(LOG_ALERTS[name], loud)
    assert not asks(LOG_ALERTS[name], quiet)


def test_every_alarm_was_tried() -> None:
    assert (set(ALARMS), set(ALERTS)) == ({"nothing-runs", "memory", "cpu"}, {"memory", "cpu"})
    assert set(LOG_ALERTS) == {"restarts", "errors"}


def test_a_metric_alert_is_what_arm_s_schema_takes() -> None:
    for alert in ALERTS.values():
        schemas.check(
            "Microsoft.Insights/metricAlerts", azure.API_VERSION, (alert.name,), dict(alert.body(SUBSCRIPTION))
        )
    broken: Any = dict(ALERTS["cpu"].body(SUBSCRIPTION))
    broken["properties"] = {**broken["properties"], "severity": "high"}
    with pytest.raises(Exception, match="severity"):
        schemas.check("Microsoft.Insights/metricAlerts", azure.API_VERSION, ("a",), broken)


def test_a_log_alert_is_what_the_reference_takes() -> None:
    for alert in LOG_ALERTS.values():
        body: Any = dict(alert.body(SUBSCRIPTION))
        check = partial(schemas.check, "Microsoft.Insights/scheduledQueryRules", azure_logs.API_VERSION, (alert.name,))
        check(body)
        for key, wrong in (("windowSize", "PT31M"), ("severity", 5), ("action", [])):
            with pytest.raises(ArmError, match=key):
                check({**body, "properties": {**body["properties"], key: wrong}})


def test_log_alerts_are_there_where_a_workspace_is_and_need_no_group_by_name() -> None:
    keeping = SPEC.model_copy(update={"logs": Logs(to_workspace=True)})
    (play,) = YAML(typ="safe", pure=True).load(files.files(keeping, FACTS)[files.PLAYBOOK])
    (away,) = YAML(typ="safe", pure=True).load(files.files(keeping, FACTS)[files.AWAY])
    names = ["Watch llm-azure-east-restarts", "Watch llm-azure-east-errors"]
    assert [task["name"] for task in play["tasks"]][-2:] == names
    assert [task["name"] for task in away["tasks"]][-2:] == [f"{name} no more" for name in names]
    asked = play["tasks"][-1]["azure.azcollection.azure_rm_resource"]
    workspace = f"llm-azure-east/providers/{workspaces.TYPE}/llm-azure-east"
    assert asked["body"]["properties"]["scopes"] == [f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{workspace}"]
    assert (asked["resource_group"], asked["body"]["location"]) == ("llm-azure-east", "eastus")


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
