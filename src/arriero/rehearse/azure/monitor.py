"""Azure Monitor's figures of container groups on the stage, answered from what was planted or measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from arriero.plan.model import SERVICE_TAG, SITE_TAG
from arriero.rehearse.azure import group_rules
from arriero.rehearse.azure.answers import Answer, ArmError, Document, Request
from arriero.rehearse.azure.ids import ResourceId
from arriero.rehearse.azure.types import CONTAINER_GROUPS
from arriero.rehearse.azure.world import World
from arriero.rehearse.minutes import Series
from arriero.rehearse.planted import Planted

_UNITS = {"CpuUsage": "Count", "MemoryUsage": "Bytes"}
_GIGABYTE = 10**9
_GRAINS = {"PT1M": 60, "PT5M": 300, "PT15M": 900, "PT30M": 1800, "PT1H": 3600, "PT6H": 21600, "PT12H": 43200}
_LONGEST_DAYS = 30


def is_asked(wanted: ResourceId) -> bool:
    return bool(wanted.type.lower() == "microsoft.insights/metrics" and wanted.is_extension)


def answer(world: World, request: Request, wanted: ResourceId) -> Answer:
    """Raises ArmError for what it does not understand."""
    group = ResourceId.parse(wanted.scope)
    if group is None or f"/{CONTAINER_GROUPS}/" not in f"{group.key}/":
        raise _wrong("only container groups have figures here")
    found = world.resource(group)
    names = [name for name in request.query.get("metricnames", "").split(",") if name]
    if unknown := [name for name in names if name not in _UNITS] or not names:
        raise _wrong(f"no metric {unknown}")
    start, end = _timespan(request.query.get("timespan", ""))
    period = _GRAINS.get(request.query.get("interval", "PT1M"))
    container = re.fullmatch(r"containerName eq '([^']+)'", request.query.get("$filter", ""))
    if period is None or request.query.get("aggregation", "Average") != "Average" or container is None:
        raise _wrong("only the Average of one container by a known interval is emulated")
    tags = found.get("tags") or {}
    known = world.figures.of(f"{tags.get(SERVICE_TAG, '')}-{tags.get(SITE_TAG, '')}") or world.minutes.of(group.key)
    values = [_metric(found, name, container[1], known, (start, end, period)) for name in names]
    timespan, interval = request.query["timespan"], request.query.get("interval", "PT1M")
    return Answer(200, {"cost": 0, "timespan": timespan, "interval": interval, "value": values})


def _metric(
    group: Document, name: str, container: str, known: Planted | Series | None, span: tuple[datetime, datetime, int]
) -> dict[str, Any]:
    points = [
        {"timeStamp": f"{at:%Y-%m-%dT%H:%M:%SZ}", "average": value}
        for at, value in _values(group, name, container, known, span)
    ]
    metadata = [{"name": {"value": "containername", "localizedValue": "containername"}, "value": container}]
    return {
        "id": f"{group['id']}/providers/Microsoft.Insights/metrics/{name}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": name, "localizedValue": name},
        "unit": _UNITS[name],
        "timeseries": [{"metadatavalues": metadata, "data": points}] if points else [],
    }


def _values(
    group: Document, name: str, container: str, known: Planted | Series | None, span: tuple[datetime, datetime, int]
) -> Iterator[tuple[datetime, float]]:
    asked = next((each for each in group["properties"]["containers"] if each["name"] == container), None)
    if known is None or asked is None:
        return
    whole = whole_of(asked, name)
    for at, percent in known.between("cpu" if name == "CpuUsage" else "memory", *span):
        yield at, percent / 100 * whole


def whole_of(container: Document, metric: str) -> float:
    """What a container was given, in the metric's unit: thousandths of a processor, or bytes."""
    requests = group_rules.requests(container)
    return float(requests["cpu"]) * 1000 if metric == "CpuUsage" else float(requests["memoryInGB"]) * _GIGABYTE


def _timespan(text: str) -> tuple[datetime, datetime]:
    try:
        start, end = (datetime.fromisoformat(part) for part in text.split("/"))
    except ValueError as error:
        raise _wrong(f"the timespan '{text[:80]}' is not two moments") from error
    if not 0 < (end - start).days + 1 <= _LONGEST_DAYS + 1:
        raise _wrong(f"the timespan goes over more than {_LONGEST_DAYS} days")
    return start, end


def _wrong(what: str) -> ArmError:
    return ArmError(400, "BadRequest", f"The metrics were not understood: {what}.")
