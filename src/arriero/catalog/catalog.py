"""Look-ups in what the clouds sell. Every file is read when it is first asked for, and once.

A figure that is not in the data is unknown: look-ups answer None, never a guess.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from math import log2
from typing import Any, Literal

Cloud = Literal["aws", "azure", "local"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a figure is from: the page it belongs to, when we read it, as of when it holds (empty: not said there)."""

    page: str
    read: str
    as_of: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class FargatePair:
    """A task size that Fargate has."""

    cpu: float
    memory_gib: float

    def __str__(self) -> str:
        return f"{self.cpu:g} vCPU with {self.memory_gib:g}GiB"


@dataclass(frozen=True, slots=True)
class FargateLimits:
    """Of one task; `storage_included_gib` costs nothing and is what a task has when nothing is said."""

    storage_included_gib: int
    storage_min_gib: int
    storage_max_gib: int
    stop_min_seconds: int
    stop_max_seconds: int
    source: Source


@dataclass(frozen=True, slots=True)
class AciLimits:
    """Of one container group."""

    cpu: float
    memory_gib: float
    storage_gib: float
    image_gib: float
    containers: int
    ports: int
    volumes: int
    log_mib: int
    stop_seconds: int
    source: Source


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which terms a model may be used: an SPDX name where there is one."""

    name: str
    source: Source


@dataclass(frozen=True, slots=True)
class Region:
    """A region; `pair` is the one that Azure pairs it with (empty: none). A restricted one must be applied for."""

    cloud: Cloud
    name: str
    title: str
    pair: str = ""
    is_restricted: bool = False


@dataclass(frozen=True, slots=True)
class Retired:
    """Something that a cloud no longer has. `date` is as exact as its source: a day, or a month. `costs` says what it
    cost and what a successor costs, where both are known.
    """

    name: str
    cloud: Cloud
    date: str
    successors: tuple[str, ...]
    source: Source
    costs: str = ""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that can be had, and where; its memory is None where no source says it."""

    name: str
    cloud: Cloud
    gpu: str
    memory_gb: int | None
    service: str
    source: Source


@dataclass(frozen=True, slots=True)
class Quota:
    """A default limit of a new account."""

    name: str
    limit: int
    unit: str
    source: Source


@dataclass(frozen=True, slots=True)
class Price:
    """What one `unit` costs, in US dollars, before tax and discounts."""

    amount: Decimal
    unit: str
    source: Source


@dataclass(frozen=True, slots=True)
class Transfer:
    """A rate that somebody measured."""

    bytes_a_second: int
    source: Source


@dataclass(frozen=True, slots=True)
class BaseImage:
    """A public image that ours is built from, pinned by its digest."""

    reference: str
    source: Source


@cache
def fargate_pairs() -> tuple[FargatePair, ...]:
    """Every cpu and memory pair of Fargate for Linux, by cpu, then memory."""
    return tuple(FargatePair(row["cpu"], memory) for row in table("fargate")["pairs"] for memory in _memories(row))


def nearest_fargate(cpu: float, memory_gib: float) -> tuple[FargatePair, ...]:
    """The two valid pairs nearest to an invalid one (by ratio), of different cpu; just the pair itself if valid."""
    by_cpu: dict[float, FargatePair] = {}
    for pair in fargate_pairs():
        best = by_cpu.setdefault(pair.cpu, pair)
        if _distance(pair, cpu, memory_gib) < _distance(best, cpu, memory_gib):
            by_cpu[pair.cpu] = pair
    nearest = sorted(by_cpu.values(), key=lambda pair: _distance(pair, cpu, memory_gib))
    if nearest[0] == FargatePair(cpu, memory_gib):
        return (nearest[0],)
    return tuple(sorted(nearest[:2], key=lambda pair: pair.cpu))


@cache
def fargate_limits() -> FargateLimits:
    data = table("fargate")
    storage, stop = data["storage_gib"], data["stop_seconds"]
    return FargateLimits(
        storage["included"], storage["from"], storage["to"], stop["from"], stop["to"], Source(**data["source"])
    )


@cache
def aci_limits() -> AciLimits:
    data = table("aci")
    return AciLimits(**data["group"], source=Source(**data["source"]))


def log_retention_days() -> tuple[int, ...]:
    """The retention times that CloudWatch Logs has, in days."""
    return tuple(table("logs")["retention_days"])


def workspace_retention_days() -> tuple[int, int]:
    """How long a workspace of Log Analytics may keep lines at least and at most."""
    least, most = table("logs")["workspace_days"]
    return least, most


def regions(cloud: str) -> tuple[str, ...]:
    """The names of a cloud's regions, sorted; none for a cloud without regions."""
    return tuple(sorted(table("regions").get(cloud, ()))) if cloud in ("aws", "azure") else ()


def region(cloud: Cloud, name: str) -> Region | None:
    row = table("regions").get(cloud, {}).get(name) if cloud in ("aws", "azure") else None
    return Region(cloud, name, *row) if row else None


def retired(name: str) -> Retired | None:
    """What became of a retired machine or GPU; None if it isn't known as retired. Case doesn't matter."""
    data = table("retired")
    for row in data["retired"]:
        for known in row["names"]:
            if known.lower() == name.lower():
                source = Source(**data["sources"][row["source"]])
                return Retired(known, row["cloud"], row["date"], tuple(row["successors"]), source, _costs(row, known))
    return None


def _costs(row: Mapping[str, Any], name: str) -> str:
    if name not in row.get("costs", {}):
        return ""
    was, successor, now = row["costs"][name]
    return f"it cost ${was} an hour in {row['costs_in']}, where {successor} costs ${now}"


def gpus(cloud: str) -> tuple[Gpu, ...]:
    """The GPUs that a cloud has, smallest first."""
    data = table("gpus")
    rows = (row for row in data["offers"] if row["cloud"] == cloud)
    return tuple(Gpu(**{**row, "source": Source(**data["sources"][row["source"]])}) for row in rows)


def quotas(cloud: str) -> tuple[Quota, ...]:
    """The default quotas of a cloud, as far as a source was read."""
    data = table("quotas")
    source = Source(**data["source"])
    return tuple(Quota(name, row["limit"], row["unit"], source) for name, row in data["quotas"].get(cloud, {}).items())


def licence(model: str) -> Licence | None:
    """By the model's family: `llama2:70b` is `llama2`. Of somebody's own (`acme/llama2`) nothing is known."""
    data, family = table("licences"), model.partition(":")[0]
    row = data["licences"].get(family)
    return Licence(row["licence"], Source(**data["sources"][row["source"]])) if row else None


@cache
def base_image(name: str) -> BaseImage:
    """`python` or `ollama`: what an image is built from where the spec names nothing else."""
    data = table("images")
    return BaseImage(data["images"][name], Source(**data["sources"][name]))


def transfer(cloud: str, what: Literal["image", "storage"]) -> Transfer | None:
    """How fast a new target gets its image, or reads its models from the site's storage; None if no source says."""
    data = table("transfers")
    row = data["bytes_a_second"].get(cloud, {}).get(what)
    return Transfer(row[0], Source(**data["sources"][row[1]])) if row else None


def price(cloud: str, region: str, item: str) -> Price | None:
    """The price of an item such as `fargate.vcpu`; None if no source of it was read."""
    data = table("prices")
    row = data["prices"].get(cloud, {}).get(region, {}).get(item)
    return Price(Decimal(row[0]), row[1], Source(**data["sources"][row[2]])) if row else None


def _memories(row: dict[str, Any]) -> Iterable[float]:
    return row["memory_gib"] if "memory_gib" in row else range(row["from_gib"], row["to_gib"] + 1, row["step_gib"])


def _distance(pair: FargatePair, cpu: float, memory_gib: float) -> float:
    return abs(log2(pair.cpu / cpu)) + abs(log2(pair.memory_gib / memory_gib))


@cache
def table(name: str) -> Any:
    """What the file `data/<name>.json` holds, for this folder's other look-ups, too."""
    return json.loads(resources.files("arriero.catalog").joinpath(f"data/{name}.json").read_text("utf-8"))
