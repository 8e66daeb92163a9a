"""Whether a rule of the emulated Azure Monitor is Healthy or Unhealthy, by its minutes, for whoever asks.

https://learn.microsoft.com/rest/api/monitor/metric-alerts-status/list. Planted figures go by the minutes of the clock,
measured ones by those of the stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from arriero.plan.model import SERVICE_TAG, SITE_TAG
from arriero.rehearse.azure import monitor
from arriero.rehearse.azure.alert_rules import HEALTHY_FOR, Condition, Rule
from arriero.rehearse.azure.answers import Answer, ArmError, Document
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.world import World
from arriero.rehearse.gauge import Measured
from arriero.rehearse.minutes import Series
from arriero.rehearse.planted import Planted

_MINUTE_SECONDS = 60.0
_TYPE = "Microsoft.Insights/metricAlerts/status"


def is_asked(wanted: ResourceId) -> bool:
    return wanted.type.lower() == _TYPE.lower() and not wanted.is_resource


def answer(world: World, wanted: ResourceId) -> Answer:
    """Raises ArmError where there is no such rule, or one that is not played here."""
    rule = Rule.of(world.resource(wanted.parent))
    if rule is None:
        raise ArmError(400, "BadRequest", f"The rule '{wanted.parent.name}' is not one that is emulated.")
    condition = Condition()
    for value in _values(world, rule):
        condition.minute(rule, value)
    told = {
        "status": "Unhealthy" if condition.is_fired else "Healthy",
        "timestamp": f"{world.today:%Y-%m-%dT%H:%M:%SZ}",
        "dimensions": {"containerName": rule.container},
    }
    row = {"name": rule.container, "id": f"{wanted.path}/{rule.container}", "type": _TYPE, "properties": told}
    return Answer(200, {"value": [row]})


def planted_now(world: World, rule: Rule) -> Measured | None:
    """The last whole minute of what was planted for the group that it watches."""
    found = _planted(world, world.find(rule.scope))
    if found is None:
        return None
    cpu, memory = (next(_minutes(world, found, kind, 1, _MINUTE_SECONDS), None) for kind in ("cpu", "memory"))
    return None if cpu is None or memory is None else Measured(cpu, memory)


def value_of(world: World, rule: Rule, percent: float | None) -> float | None:
    """In the metric's unit, of the container that the rule names; None where it stands no more."""
    group = world.find(rule.scope)
    containers: list[Document] = group["properties"].get("containers", []) if group else []
    container = next((each for each in containers if each["name"] == rule.container), None)
    if container is None or percent is None:
        return None
    return percent / 100 * monitor.whole_of(container, rule.metric)


def _values(world: World, rule: Rule) -> Iterator[float | None]:
    """Of as many minutes as a rule remembers, oldest first; None for one without a figure."""
    planted = _planted(world, world.find(rule.scope))
    known = planted or world.minutes.of(rule.scope) or Series(())
    seconds = _MINUTE_SECONDS if planted else world.latency.minute_seconds
    kind = "cpu" if rule.metric == "CpuUsage" else "memory"
    for percent in _minutes(world, known, kind, 2 * rule.window_minutes + HEALTHY_FOR, seconds):
        yield value_of(world, rule, percent)


def _minutes(world: World, known: Planted | Series, kind: str, count: int, seconds: float) -> Iterator[float | None]:
    now = world.today
    end = now - timedelta(seconds=now.timestamp() % seconds)
    for back in range(count, 0, -1):
        since, until = (end - timedelta(seconds=seconds * each) for each in (back, back - 1))
        values = [value for _, value in known.between(kind, since, until, seconds)]
        yield sum(values) / len(values) if values else None


def _planted(world: World, group: Document | None) -> Planted | None:
    tags = (group or {}).get("tags") or {}
    return world.figures.of(f"{tags.get(SERVICE_TAG, '')}-{tags.get(SITE_TAG, '')}")
