"""The exported alarms are played on both clouds by Ansible's own modules, told by what is planted, and taken away.

No service stands but the container group and the workspace that Azure's rules watch: alarms need none. A minute of the
stage's monitors lasts a second; planted figures go by the clock's, planted lines by the stage's. The tests go on from
one another, in their order, on one stage.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from places import Place, open_spec, wait_for
from ruamel.yaml import YAML

from arriero.clouds.azure import workspaces
from arriero.clouds.azure.connection import Arm, connect
from arriero.clouds.endpoints import Endpoints
from arriero.pipeline.alarms import azure_logs

pytestmark = [pytest.mark.story, pytest.mark.wide, pytest.mark.timeout(600), pytest.mark.long]

SPEC = """\
name: llm
image: registry.example.com/acme/ollama-llm
models: [llama2]
rehearse: always
scale: {min: 1}
logs: {to_workspace: true}
sites:
  aws-east: {cloud: aws, region: us-east-1}
  azure-east: {cloud: azure, region: eastus}
"""
REGION, GROUP, IN = "us-east-1", "llm-azure-east-r1-1", "/resourceGroups/llm-azure-east"
TAGS = {"arriero-service": "llm", "arriero-site": "azure-east"}
KEEPS = {"location": "eastus", "tags": TAGS, "properties": {"sku": {"name": "PerGB2018"}}}
WATCHED = {
    "location": "eastus",
    "tags": TAGS,
    "properties": {
        "osType": "Linux",
        "containers": [
            {
                "name": "ollama",
                "properties": {
                    "image": "acme/llm:1",
                    "resources": {"requests": {"cpu": 3.8, "memoryInGB": 15.7}},
                    "ports": [{"port": 11434}],
                },
            }
        ],
    },
}
TOPIC = "arn:aws:sns:us-east-1:123456789012:on-call"
MINUTES = 45
FAILED = 'time=2026-11-29T11:59:00.000Z level=ERROR source=sched.go:455 msg="error loading llama server"'
BEGUN = 'time=2026-11-29T11:59:00.000Z level=INFO source=routes.go:1297 msg="Listening on [::]:11434 (version 0.6.5)"'
BUSY, CALM = (60.0, 97.0, 60.0), (60.0, 60.0, 60.0)


class Pager:
    """Whom an action group calls: rules and what became of them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        outer = self

        class Called(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]["essentials"]
                outer.calls.append((told["alertRule"], told["monitorCondition"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Called)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/page"


@pytest.fixture(scope="module")
def pager() -> Iterator[Pager]:
    pager = Pager()
    yield pager
    pager.server.shutdown()
    pager.server.server_close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, pager: Pager) -> Iterator[Place]:
    for place in open_spec(tmp_path_factory.mktemp("alarms"), SPEC):
        place.always["ARRIERO_STAGE_MINUTE"] = "1"
        made = place.arriero("export", "alarms", "--out", "alarms")
        assert made.code == 0, made.err
        with entered(place) as arm:
            arm.put(IN, "2022-09-01", {"location": "eastus"})
            arm.put(f"{IN}/providers/Microsoft.ContainerInstance/containerGroups/{GROUP}", "2025-09-01", WATCHED)
            arm.put(f"{IN}/providers/{workspaces.TYPE}/llm-azure-east", workspaces.VERSION, KEEPS)
            receiver = {"name": "pager", "serviceUri": pager.url, "useCommonAlertSchema": True}
            told = {"groupShortName": "on-call", "enabled": True, "webhookReceivers": [receiver]}
            on_call = f"{IN}/providers/Microsoft.Insights/actionGroups/on-call"
            arm.put(on_call, "2023-01-01", {"location": "global", "properties": told})
            action = {"actionGroupId": f"/subscriptions/{arm.subscription}{on_call}"}
        (place.folder / "who.json").write_text(json.dumps({"topics": {REGION: [TOPIC]}, "action_groups": [action]}))
        yield place


@contextmanager
def entered(place: Place) -> Iterator[Arm]:
    """This process as a client of the stage's clouds."""
    with Endpoints("the stage", environment(place)).entered():
        yield connect()


def environment(place: Place) -> dict[str, str]:
    """Asked for once: the stage stays where it is."""
    kept = place.folder / "environment.json"
    if not kept.exists():
        kept.write_text(json.dumps(place.environment()))
    found: dict[str, str] = json.loads(kept.read_text())
    return found


def run(place: Place, *command: str) -> str:
    whole = {**os.environ, **environment(place)}
    ended = subprocess.run(command, cwd=place.folder, env=whole, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def changed(place: Place, *arguments: str) -> int:
    """How many tasks of a playbook changed something."""
    said = run(place, str(Path(sys.executable).with_name("ansible-playbook")), *arguments)
    found = re.search(r"^localhost .* changed=(\d+) .* failed=0 ", said, re.MULTILINE)
    assert found, said
    return int(found[1])


def alarms(place: Place) -> list[dict[str, Any]]:
    with entered(place):
        found: list[dict[str, Any]] = boto3.client("cloudwatch", region_name=REGION).describe_alarms()["MetricAlarms"]
    return found


def rules(place: Place, kind: str = "metricAlerts", version: str = "2018-03-01") -> list[Any]:
    with entered(place) as arm:
        return arm.list(f"{IN}/providers/Microsoft.Insights/{kind}", version)


def log_rules(place: Place) -> list[Any]:
    return rules(place, "scheduledQueryRules", azure_logs.API_VERSION)


def status(place: Place, rule: str) -> str:
    with entered(place) as arm:
        (told,) = arm.list(f"{IN}/providers/Microsoft.Insights/metricAlerts/{rule}/status", "2018-03-01")
    return str(told["properties"]["status"])


def plant(
    place: Place, site: str, cpu: Sequence[Sequence[float]], memory: Sequence[Sequence[float]], ahead: int = 0
) -> None:
    """Three samples a minute; so many of the minutes given are still to come, the one before has just ended."""
    folder = place.stage / "metrics"
    folder.mkdir(exist_ok=True)
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=len(cpu) - ahead)
    flat = {"cpu": [v for minute in cpu for v in minute], "memory": [v for minute in memory for v in minute]}
    told = {"start": start.isoformat(), "step": 20, **flat}
    fresh = folder / "fresh"
    fresh.write_text(json.dumps(told))
    fresh.replace(folder / f"llm-{site}.json")


def plant_lines(place: Place, *series: tuple[str, str, float]) -> None:
    """For five minutes from now on, of each group every so many seconds that line."""
    folder, now = place.stage / "lines", datetime.now(UTC)
    folder.mkdir(exist_ok=True)
    told = [
        {"at": (now + timedelta(seconds=n * every)).isoformat(), "group": group, "container": "ollama", "text": text}
        for group, text, every in series
        for n in range(int(300 / every))
    ]
    fresh = folder / "fresh"
    fresh.write_text("".join(f"{json.dumps(row)}\n" for row in told))
    fresh.replace(folder / "llm-azure-east.jsonl")


def test_played_twice_it_changes_nothing_the_second_time(place: Place) -> None:
    assert changed(place, "alarms/alarms.yml", "-e", "@who.json") == 7
    assert changed(place, "alarms/alarms.yml", "-e", "@who.json") == 0


def test_what_the_clouds_hold_is_what_the_file_says(place: Place) -> None:
    (play,) = YAML(typ="safe", pure=True).load((place.folder / "alarms/alarms.yml").read_text())
    said = {t["amazon.aws.cloudwatch_metric_alarm"]["name"]: t["amazon.aws.cloudwatch_metric_alarm"]
            for t in play["tasks"][:3]}  # fmt: skip
    held = {alarm["AlarmName"]: alarm for alarm in alarms(place)}
    assert said.keys() == held.keys()
    for name, alarm in held.items():
        told = said[name]
        assert alarm["Namespace"] == told["namespace"]
        assert alarm["MetricName"] == told["metric_name"]
        assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == told["dimensions"]
        assert alarm["Statistic"] == told["statistic"]
        assert alarm["ComparisonOperator"] == told["comparison"]
        assert alarm["Threshold"] == told["threshold"]
        assert alarm["Period"] == told["period"]
        assert alarm["EvaluationPeriods"] == told["evaluation_periods"]
        assert alarm["DatapointsToAlarm"] == told["datapoints_to_alarm"]
        assert alarm["TreatMissingData"] == told["treat_missing_data"]
        assert alarm["AlarmDescription"] == told["description"]
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
    there = {rule["name"]: rule["properties"] for rule in rules(place)}
    at_azure = [t["azure.azcollection.azure_rm_resource"] for t in play["tasks"][3:]]
    asked = [each for each in at_azure if each["resource_type"] == "metricAlerts"]
    assert there.keys() == {f"{GROUP}-memory", f"{GROUP}-cpu"} == {each["resource_name"] for each in asked}
    for each in asked:
        told, rule = each["body"]["properties"], there[each["resource_name"]]
        for key in ("description", "severity", "enabled", "autoMitigate", "scopes", "criteria"):
            assert rule[key] == told[key], key
        assert (rule["windowSize"], rule["evaluationFrequency"]) == (told["windowSize"], told["evaluationFrequency"])
        assert [each["actionGroupId"].rpartition("/")[2] for each in rule["actions"]] == ["on-call"]
    there = {rule["name"]: rule["properties"] for rule in log_rules(place)}
    asked = [each for each in at_azure if each["resource_type"] == "scheduledQueryRules"]
    assert there.keys() == {"llm-azure-east-restarts", "llm-azure-east-errors"} == {e["resource_name"] for e in asked}
    for each in asked:
        told, rule = each["body"]["properties"], there[each["resource_name"]]
        assert {key: rule[key] for key in told if key != "actions"} == {k: v for k, v in told.items() if k != "actions"}
        assert [one.rpartition("/")[2] for one in rule["actions"]["actionGroups"]] == ["on-call"]


@pytest.mark.parametrize(
    ("name", "cpu", "memory"),
    [
        ("memory", [CALM] * MINUTES, ([BUSY] * MINUTES, [BUSY] * 9 + [CALM] * 6)),
        ("cpu", ([(99.0, 94.0, 99.0)] * MINUTES, [(99.0, 94.0, 99.0)] * 29 + [CALM]), [CALM] * MINUTES),
        ("nothing-runs", ([CALM] * 30 + [()] * 9, [CALM] * 30 + [()] * 3), [CALM] * MINUTES),
    ],
)
def test_each_cloudwatch_alarm_is_on_by_loud_figures_and_off_by_quiet_ones(
    place: Place, name: str, cpu: Any, memory: Any
) -> None:
    def states(which: int) -> dict[str, str]:
        series = [each[which] if isinstance(each, tuple) else each for each in (cpu, memory)]
        length = min(len(each) for each in series)
        plant(place, "aws-east", *(each[-length:] for each in series))
        return {each["AlarmName"].removeprefix("llm-aws-east-"): each["StateValue"] for each in alarms(place)}

    quiet = dict.fromkeys(("memory", "cpu", "nothing-runs"), "OK")
    assert states(0) == {**quiet, name: "ALARM"}
    assert states(1) == quiet


@pytest.mark.parametrize("name", ["memory", "cpu"])
def test_each_metric_alert_is_unhealthy_by_loud_figures_and_calls_and_healthy_by_quiet_ones(
    place: Place, pager: Pager, name: str
) -> None:
    calm, loud, near = [CALM] * 90, [(98.0,) * 3] * 90, [(88.0,) * 3] * 90

    def planted(own: Any) -> str:
        plant(place, "azure-east", own if name == "cpu" else calm, own if name == "memory" else calm, ahead=15)
        return status(place, rule)

    rule, before = f"{GROUP}-{name}", len(pager.calls)
    assert planted(loud) == "Unhealthy"
    assert wait_for(lambda: (rule, "Fired") in pager.calls[before:], 240)
    assert {each for each, change in pager.calls[before:] if change == "Fired"} == {rule}
    assert planted(near) == "Healthy"


# In the window of thirty minutes, here of a second each: too many, and as many as may be. Each group starts by itself.
LOUD = {"restarts": [(GROUP, BEGUN, 4.0)], "errors": [(GROUP, FAILED, 0.5)]}
NEAR = {"restarts": [(GROUP, BEGUN, 12.0), ("llm-azure-east-r1-2", BEGUN, 12.0)], "errors": [(GROUP, FAILED, 3.1)]}


@pytest.mark.parametrize(("name", "other"), [("restarts", "errors"), ("errors", "restarts")])
def test_each_log_alert_calls_by_loud_lines_and_is_resolved_by_fewer(
    place: Place, pager: Pager, name: str, other: str
) -> None:
    rule, before = f"llm-azure-east-{name}", len(pager.calls)
    plant_lines(place, *LOUD[name], *NEAR[other])
    assert wait_for(lambda: (rule, "Fired") in pager.calls[before:], 240)
    plant_lines(place, *NEAR[name], *NEAR[other])
    assert wait_for(lambda: (rule, "Resolved") in pager.calls[before:], 240)
    assert {each for each, change in pager.calls[before:] if change == "Fired"} == {rule}


def test_taken_away_nothing_is_left_and_again_nothing_is_done(place: Place) -> None:
    assert changed(place, "alarms/no-alarms.yml") == 7
    assert (alarms(place), rules(place), log_rules(place)) == ([], [], [])
    assert changed(place, "alarms/no-alarms.yml") == 0
