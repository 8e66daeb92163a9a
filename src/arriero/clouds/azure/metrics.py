"""CpuUsage and MemoryUsage of a site's container groups, from Azure Monitor.

Millicores and bytes of one container, Ollama's:
https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-containerinstance-containergroups-metrics.
They are made percent of what that container asks for. A group that is gone took its record along, so what is known
goes back to the newest release at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from arriero.clouds.azure import groups
from arriero.clouds.azure.connection import Arm, Found, connect
from arriero.clouds.azure.errors import door
from arriero.clouds.metrics import STEP_SECONDS, Series, joined
from arriero.plan.model import SiteFacts, SiteRef

VERSION = "2018-01-01"
CONTAINER = "ollama"
# One question may go over so many days: https://learn.microsoft.com/azure/azure-monitor/essentials/data-platform-metrics
_DAYS = timedelta(days=30)
_GIGABYTE = 10**9

Samples = dict[datetime, tuple[float, float]]


def read(ref: SiteRef, found: SiteFacts, since: datetime, until: datetime) -> Series:
    """Raises CloudError."""
    paths = [
        f"/resourceGroups/{ref.service}-{ref.site}/providers/{groups.TYPE}/{target.id}"
        for target in found.targets
        if not target.is_adopted
    ]
    with door(ref.site, ref.region), ThreadPoolExecutor(8, thread_name_prefix="metrics") as pool:
        arm = connect()
        each = list(pool.map(lambda path: _of(arm, path, since, until), paths))
    cpu: dict[datetime, list[float]] = {}
    memory: dict[datetime, float] = {}
    for samples in each:
        for at, (busy, full) in samples.items():
            cpu.setdefault(at, []).append(busy)
            memory[at] = max(full, memory.get(at, 0.0))
    return joined({at: sum(values) / len(values) for at, values in cpu.items()}, memory)


def _of(arm: Arm, path: str, since: datetime, until: datetime) -> Samples:
    """Percent of processors and memory of one group's Ollama."""
    group = arm.get(path, groups.VERSION)
    if group is None:
        return {}
    asked = next(each for each in group["properties"]["containers"] if each["name"] == CONTAINER)
    requests = asked["properties"]["resources"]["requests"]
    millicores, size = float(requests["cpu"]) * 1000, float(requests["memoryInGB"]) * _GIGABYTE
    found: dict[str, dict[datetime, float]] = {"CpuUsage": {}, "MemoryUsage": {}}
    for start, end in _spans(since, until):
        for metric in _asked(arm, path, start, end).get("value", ()):
            found[metric["name"]["value"]].update(_points(metric))
    cpu, memory = found["CpuUsage"], found["MemoryUsage"]
    return {at: (100 * cpu[at] / millicores, 100 * memory[at] / size) for at in cpu.keys() & memory.keys()}


def _asked(arm: Arm, path: str, start: datetime, end: datetime) -> Found:
    query = {
        "timespan": f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
        "interval": f"PT{STEP_SECONDS // 60}M",
        "metricnames": "CpuUsage,MemoryUsage",
        "aggregation": "Average",
        "$filter": f"containerName eq '{CONTAINER}'",
    }
    return arm.get(f"{path}/providers/Microsoft.Insights/metrics", VERSION, **query) or {}


def _spans(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    while since < until:
        end = min(until, since + _DAYS)
        yield since, end
        since = end


def _points(metric: Any) -> Iterator[tuple[datetime, float]]:
    for series in metric["timeseries"]:
        for point in series["data"]:
            if point.get("average") is not None:
                yield datetime.fromisoformat(point["timeStamp"]), float(point["average"])
