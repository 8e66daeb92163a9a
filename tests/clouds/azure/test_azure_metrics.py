"""Weeks of container groups' figures from the emulated Azure Monitor, whose answer the official SDK reads, too."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure_sites import REF, Azure

from arriero.clouds import metrics
from arriero.clouds.azure import groups
from arriero.plan.model import SERVICE_TAG, SITE_TAG, SiteFacts, TargetFacts
from arriero.rehearse.azure import monitor
from arriero.rehearse.azure.answers import ArmError, Request
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.runs import ContainerRun, GroupRun
from arriero.rehearse.azure.world import SUBSCRIPTION

START = datetime(2026, 10, 1, tzinfo=UTC)
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/llm-azure-east/providers/{groups.TYPE}/g1"
FOUND = SiteFacts("azure-east", "azure", "eastus", targets=(TargetFacts("g1", "azure-east", "ready"),))


def stand(azure: Azure) -> None:
    """A group of two containers, as a deployment would have left it."""
    requests = [("ollama", 3.6, 15.8), ("sidecar", 0.4, 0.2)]
    containers = [
        {"name": name, "properties": {"resources": {"requests": {"cpu": cpu, "memoryInGB": memory}}}}
        for name, cpu, memory in requests
    ]
    tags = {SERVICE_TAG: "llm", SITE_TAG: "azure-east"}
    resource = {"id": GROUP, "name": "g1", "location": "eastus", "tags": tags, "properties": {"containers": containers}}
    parent = {"id": GROUP.rpartition("/providers")[0], "location": "eastus", "properties": {}, "name": "llm-azure-east"}
    run = GroupRun("g1", phase="stopped", containers=[ContainerRun(name) for name, *_ in requests])
    azure.emulator._world.state.runs[GROUP.lower()] = run
    azure.emulator._world.state.resources |= {GROUP.lower(): resource, str(parent["id"]).lower(): parent}


def plant(azure: Azure, cpu: list[float], memory: list[float]) -> None:
    folder = azure.folder / "metrics"
    folder.mkdir(exist_ok=True)
    told = {"start": START.isoformat(), "step": 300, "cpu": cpu, "memory": memory}
    (folder / "llm-azure-east.json").write_text(json.dumps(told))


def test_millicores_and_bytes_become_percent_over_more_than_one_question(azure: Azure) -> None:
    stand(azure)
    samples = 40 * 24 * 12
    plant(azure, [12.5] * samples, [50.0 + number % 2 for number in range(samples)])
    with azure.entered():
        found = metrics.read([(REF, FOUND, START)], START + timedelta(days=40))["azure-east"]
    assert (found.problem, len(found.at), found.days) == (None, samples, 40.0)
    assert found.cpu[0] == pytest.approx(12.5)
    assert found.memory[:2] == pytest.approx((50.0, 51.0))


def test_without_figures_or_a_group_there_is_nothing(azure: Azure) -> None:
    stand(azure)
    with azure.entered():
        assert metrics.read([(REF, FOUND, START)], START + timedelta(days=1))["azure-east"] == metrics.Series()
        gone = SiteFacts("azure-east", "azure", "eastus", targets=(TargetFacts("g9", "azure-east", "ready"),))
        assert metrics.read([(REF, gone, START)], START + timedelta(days=1))["azure-east"] == metrics.Series()


def asked(azure: Azure, **query: str) -> Any:
    whole = {
        "timespan": "2026-10-01T00:00:00Z/2026-10-01T01:00:00Z",
        "interval": "PT5M",
        "metricnames": "CpuUsage",
        "aggregation": "Average",
        "$filter": "containerName eq 'ollama'",
        **query,
    }
    request = Request("GET", "management.azure.com", f"{GROUP}/providers/Microsoft.Insights/metrics", whole, {})
    wanted = ResourceId.parse(request.path)
    assert wanted is not None
    assert monitor.is_asked(wanted)
    return monitor.answer(azure.emulator._world, request, wanted).body


def test_the_answer_is_one_that_the_official_sdk_reads(azure: Azure) -> None:
    from azure.mgmt.monitor.v2018_01_01.models import Response

    stand(azure)
    plant(azure, [10.0] * 12, [10.0] * 12)
    response = Response.deserialize(asked(azure))  # type: ignore[attr-defined]
    [metric] = response.value
    assert (metric.name.value, metric.unit, len(metric.timeseries[0].data)) == ("CpuUsage", "Count", 12)
    assert metric.timeseries[0].data[0].average == pytest.approx(360.0)


@pytest.mark.parametrize(
    "query",
    [
        {"timespan": "yesterday"},
        {"timespan": "2026-08-01T00:00:00Z/2026-10-01T01:00:00Z"},
        {"metricnames": "Percentage CPU"},
        {"metricnames": ""},
        {"interval": "PT7M"},
        {"aggregation": "Maximum"},
        {"$filter": ""},
    ],
)
def test_what_it_does_not_know_is_refused(query: dict[str, str], azure: Azure) -> None:
    stand(azure)
    with pytest.raises(ArmError, match="The metrics were not understood"):
        asked(azure, **query)
