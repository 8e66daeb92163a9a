"""What the clouds' bills say of a service, all clouds of its spec side by side."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from importlib import import_module

from arriero.errors import CloudError, Problem
from arriero.spec.front_door import clouds_of
from arriero.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Bill:
    """One cloud's: US dollars by site, "" being what carries no site's tag. With a `problem` nothing is known."""

    cloud: str
    sites: Mapping[str, Decimal] = field(default_factory=dict)
    problem: Problem | None = None


def read(spec: Spec, first: date, last: date) -> tuple[Bill, ...]:
    """From the first day to the last, both whole, in UTC. This machine has no bill."""
    clouds = sorted({*clouds_of(spec)} - {"local"})
    with ThreadPoolExecutor(max(1, len(clouds)), thread_name_prefix="bill") as pool:
        return tuple(pool.map(lambda cloud: _of(cloud, spec.name, first, last), clouds))


def _of(cloud: str, service: str, first: date, last: date) -> Bill:
    try:
        return Bill(cloud, import_module(f"arriero.clouds.{cloud}.spending").read(service, first, last))
    except CloudError as error:
        return Bill(cloud, problem=replace(error.problems[0], key=cloud))
