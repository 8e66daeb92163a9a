"""Azure Monitor's alerts on a site's container groups, where the spec leaves the count to the cloud. Pure.

Container Instances have no scaling of their own: alerts call the controller's webhook, and it starts and stops groups.
An alert watches one group, so as many are watched as the site has at least, those with the lowest numbers; the
controller lets none of them go. The gateway spreads requests evenly, so these stand for all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from arriero.plan.model import Resource, Value
from arriero.spec.model import ResolvedSite

ACTION_KIND, ALERT_KIND = "azure.action_group", "azure.metric_alert"
RECEIVER = "controller"
SHORT_NAME = "arriero"
# Above a goal for so long, as a mean; and far below it for longer.
HIGH_WINDOW, LOW_WINDOW = "PT5M", "PT15M"
FREQUENCY = "PT1M"
# Fewer run where all are below so much of the goal: one fewer must not bring the others above it.
LOW_SHARE = 0.5
_MEMORY_GB = 10**9


def watched(groups: Collection[str], least: int) -> tuple[str, ...]:
    """Names of groups, those with the lowest numbers first."""
    return tuple(sorted(groups, key=_number)[:least])


def wanted(site: ResolvedSite, groups: Sequence[Resource], base: str) -> tuple[Resource, ...]:
    """`groups` are the container groups that are to stand. None where somebody else scales, or none is to run."""
    if site.scale_by != "cloud" or site.alerts is None:
        return ()
    action: dict[str, Value] = {
        "enabled": True,
        "receivers": {RECEIVER: {"url": site.alerts.url, "key": "given", "schema": "common"}},
    }
    by_name = {group.name: group for group in groups}
    alerts = [
        _alert(by_name[name], metric, goal, which, base)
        for name in watched(by_name, site.min)
        for metric, goal in site.track.goals.items()
        for which in ("high", "low")
    ]
    return (Resource(ACTION_KIND, base, action), *alerts)


def _alert(group: Resource, metric: str, goal: float, which: str, base: str) -> Resource:
    """`goal` is a percentage of what Ollama's container asks for."""
    containers = group.properties["containers"]
    name = "ollama"
    assert isinstance(containers, Mapping)
    asked = containers[name]
    assert isinstance(asked, Mapping)
    whole = float(str(asked["cpu"])) * 1000 if metric == "cpu" else float(str(asked["memory_gb"])) * _MEMORY_GB
    share = goal / 100 * (1.0 if which == "high" else LOW_SHARE)
    properties: dict[str, Value] = {
        "enabled": True,
        "scope": group.name,
        "metric": "CpuUsage" if metric == "cpu" else "MemoryUsage",
        "container": name,
        "operator": "GreaterThan" if which == "high" else "LessThan",
        "threshold": float(round(share * whole)),
        "window": HIGH_WINDOW if which == "high" else LOW_WINDOW,
        "frequency": FREQUENCY,
        "resolves": True,
        "action": base,
    }
    return Resource(ALERT_KIND, f"{group.name}-{metric}-{which}", properties)


def _number(group: str) -> tuple[int, str]:
    match = re.search(r"-(\d+)$", group)
    return (int(match[1]) if match else 10**9, group)
