"""Figures as Prometheus reads them: text format 0.0.4."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate

from arriero.gateway.context import Context
from arriero.gateway.telling import families as f
from arriero.gateway.telling.families import ALL, Family
from arriero.gateway.telling.figures import Figures, add_up
from arriero.gateway.telling.metrics import OTHER, VALUES_LIMIT
from arriero.gateway.wire.connection import ClientConnection

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def text(own: Figures, others: Iterable[Figures]) -> bytes:
    """All families, of this process and of those beside it, as one."""
    own_rows = dict(own.rows())
    all_rows = add_up((own, *others))
    return "".join(_family(family, own_rows if family.is_own else all_rows) for family in ALL).encode()


def refresh(context: Context, connections: Collection[ClientConnection]) -> None:
    """Writes what stands now into the gauges' rows."""
    metrics, pool = context.metrics, context.pool
    targets = pool.status()
    states, flights, resident = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
    costs, releases = dict[str, float](), dict[str, float]()
    for target in targets:
        states[target.site, target.state] += 1
        resident.update(target.resident)
    sizes = Counter[str]()
    for known in pool:
        entry = known.entry
        flights[entry.site] += known.in_flight
        sizes[entry.site] += sum(_bytes(model.get("size")) for model in known.inventory.resident.values())
        costs[entry.site] = costs.get(entry.site, 0.0) + entry.cost
        releases[entry.site] = max(releases.get(entry.site, 0), entry.release or 0)
    metrics.set(f.OPEN, [((), len(context.open))])
    metrics.set(f.CONNECTIONS, [((), len(connections))])
    told = sum(1 for client in connections if client.current is not None and client.current.warming is not None)
    metrics.set(f.WARMING, [((), told)])
    metrics.set(f.QUEUE_CAPACITY, [((), context.settings.limits.queue_length)])
    lines = context.queue.admission.lines if context.queue is not None else {}
    metrics.set(f.QUEUED, [((model,), len(line)) for model, line in lines.items()])
    metrics.set(f.TASKS, [((), len(asyncio.all_tasks()))])
    metrics.set(f.WORKERS, [((), 1)])
    metrics.set(f.LINES_DROPPED, [((), context.log.dropped_lines)])
    metrics.set(f.TARGETS, states.items())
    by_name: tuple[tuple[Family, Mapping[str, float]], ...] = (
        (f.IN_FLIGHT, flights), (f.LOADED_BYTES, sizes), (f.MODELS_LOADED, resident), (f.COST, costs),
        (f.RELEASE, releases),
    )  # fmt: skip
    for family, counts in by_name:
        metrics.set(family, [((name,), count) for name, count in counts.items()])


def refresh_keys(context: Context) -> None:
    """The same for what keys have used of their limits: asked for when somebody reads, as there may be many."""
    metrics = context.metrics
    metrics.set(f.KEY_LIMIT_USED, used(context.guard.used(context.timestamp()), metrics.limited_keys).items())


def used(ratios: Iterable[tuple[str, str, float]], known: set[str]) -> dict[tuple[str, str], float]:
    """By key and limit. `known` are the keys that have rows, which grow in number up to VALUES_LIMIT, also while keys
    come and go; of the others the one that is nearest to its limit is told.
    """
    found = dict[tuple[str, str], float]()
    for key, limit, ratio in ratios:
        if key not in known and len(known) < VALUES_LIMIT:
            known.add(key)
        name = key if key in known else OTHER
        found[name, limit] = max(ratio, found.get((name, limit), 0.0))
    return found


def _family(family: Family, rows: Mapping[str, list[float]]) -> str:
    start = family.name + "{"
    lines = [line for name, numbers in rows.items() if name.startswith(start) for line in _lines(family, name, numbers)]
    if not lines:
        return ""
    head = (f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.kind}")
    return "\n".join((*head, *lines)) + "\n"


def _lines(family: Family, name: str, numbers: list[float]) -> Iterable[str]:
    labels = name[len(family.name) + 1 : -1]
    if not family.bounds:
        yield f"{family.name}{{{labels}}} {_number(numbers[0])}" if labels else f"{family.name} {_number(numbers[0])}"
        return
    *counts, total = numbers
    comma = "," if labels else ""
    for bound, count in zip((*map(str, family.bounds), "+Inf"), accumulate(counts), strict=True):
        yield f'{family.name}_bucket{{{labels}{comma}le="{bound}"}} {_number(count)}'
    yield f"{family.name}_sum{{{labels}}} {_number(total)}"
    yield f"{family.name}_count{{{labels}}} {_number(sum(counts))}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6f}"


def _bytes(size: object) -> int:
    return size if isinstance(size, int) else 0
