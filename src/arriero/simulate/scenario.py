"""A scenario: traffic, service, cloud and prices, as one YAML file says them. All policies of a comparison share it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from arriero.catalog import catalog
from arriero.errors import ArrieroError, Problem
from arriero.scale.spot import Mix
from arriero.simulate.demand import DAY, Arrival, Curve, arrivals
from arriero.simulate.fleet import Cloud
from arriero.simulate.machine import Pace
from arriero.simulate.play import Service
from arriero.simulate.trace import Trace, read
from arriero.spec import document
from arriero.spec.explain import explain
from arriero.spec.section import Section
from arriero.spec.units import Bytes, Duration, VCpu

NAMES = ("conversation", "code", "office", "flat")
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1, le=100_000)]


def _hours(value: object) -> object:
    return [value] * 24 if isinstance(value, int | float) else value


Hours = Annotated[
    tuple[Annotated[float, Field(gt=0.0)], ...], BeforeValidator(_hours), Field(min_length=24, max_length=24)
]


class DayCurve(Section):
    """The rate at each full hour, of any unit. One number for `weekend` is that part of the weekday."""

    weekday: Hours
    weekend: Hours | float

    def curve(self) -> Curve:
        weekend = self.weekend
        if isinstance(weekend, float):
            return Curve(self.weekday, tuple(weekend * each for each in self.weekday))
        return Curve(self.weekday, weekend)


class Models(Section):
    """So many models of one size; which is asked for follows Zipf's law."""

    count: Count = 1
    zipf: float = 1.0
    size: Bytes = Bytes(1_300_000_000)


class TargetOf(Section):
    """What a target is, and how fast: alone, and (`total_tokens_per_second`) all streams together."""

    cpu: VCpu
    memory: Bytes
    slots: Count = 4
    room: Count = 1
    first_token: Duration = Duration(0.05)
    prompt_tokens_per_second: float = 0.0
    tokens_per_second: Positive = 30.0
    total_tokens_per_second: float = 0.0
    prompt_load: Share = 1.0


class CloudOf(Section):
    """How its starts, prices and reclaims are; see `fleet.Cloud`. `spot_price` is a part of the list price."""

    name: Literal["aws", "azure"]
    region: str
    start: Duration = Duration(70.0)
    start_spread: float = 0.2
    load_bytes_per_second: Bytes = Bytes(375_000_000)
    zones: Count = 3
    spot_price: Share = 0.33
    evictions_a_week: float = 0.0
    evicted_share: Share = 0.6
    away: Duration = Duration(3600.0)


class SpotOf(Section):
    base: Annotated[int, Field(ge=0)] = 2
    share: Share = 0.7


class Counts(Section):
    min: Annotated[int, Field(ge=0)] = 2
    max: Count = 80


class Scenario(Section):
    """The whole file."""

    title: str
    trace: str
    days: Positive = 7.0
    requests_a_second: Positive
    curve: DayCurve
    models: Models = Models()
    target: TargetOf
    cloud: CloudOf
    spot: SpotOf = SpotOf()
    counts: Counts = Counts()


@dataclass(frozen=True)
class Scene:
    """A scenario with its trace and prices looked up."""

    scenario: Scenario
    trace: Trace

    @property
    def seconds(self) -> float:
        return self.scenario.days * DAY

    def arrivals(self, seed: int) -> Iterator[Arrival]:
        asked, models = self.scenario, self.scenario.models
        curve = asked.curve.curve()
        return arrivals(self.trace, curve, asked.requests_a_second, self.seconds, seed, models.count, models.zipf)

    @property
    def service(self) -> Service:
        asked = self.scenario
        names = tuple(f"model{place + 1:03d}:latest" for place in range(asked.models.count))
        load = asked.models.size / asked.cloud.load_bytes_per_second
        return Service(names, float(asked.models.size), load, asked.target.slots, asked.target.room)

    @property
    def pace(self) -> Pace:
        target = self.scenario.target
        return Pace(
            float(target.first_token),
            target.prompt_tokens_per_second,
            target.tokens_per_second,
            target.total_tokens_per_second,
            target.prompt_load,
        )

    @property
    def cloud(self) -> Cloud:
        asked, hourly = self.scenario.cloud, float(self.hourly())
        return Cloud(
            start_seconds=float(asked.start),
            start_spread=asked.start_spread,
            hourly=hourly,
            spot_hourly=hourly * asked.spot_price,
            zones=asked.zones,
            evictions_a_week=asked.evictions_a_week,
            evicted_share=asked.evicted_share,
            away_seconds=float(asked.away),
        )

    def mix(self, with_spot: bool) -> Mix:
        spot = self.scenario.spot
        return Mix(spot.base, spot.share) if with_spot else Mix()

    def hourly(self) -> Decimal:
        """Of a target at the catalog's list price; raises ArrieroError where no source of it was read."""
        cloud, target = self.scenario.cloud, self.scenario.target
        kind = "fargate" if cloud.name == "aws" else "aci"
        found = [catalog.price(cloud.name, cloud.region, f"{kind}.{item}") for item in ("vcpu", "memory")]
        if None in found:
            remedy = "choose a region whose price is known, like us-east-1 or eastus"
            raise ArrieroError(Problem(f"the price of {kind} in {cloud.region} is unknown", remedy, "cloud.region"))
        vcpu, memory = (price.amount for price in found if price)
        return vcpu * Decimal(str(float(target.cpu))) + memory * Decimal(str(target.memory.in_gib))


def load(name: str, trace: str = "", days: float = 0.0) -> Scene:
    """One of `NAMES`, or a file; `trace` and `days` in place of its own. Raises ArrieroError with every problem."""
    if name in NAMES:
        with resources.as_file(resources.files("arriero.simulate") / "scenarios" / f"{name}.yaml") as path:
            return _load(path, trace, days)
    path = Path(name)
    if not path.is_file():
        known = ", ".join(NAMES)
        raise ArrieroError(Problem(f"there is no scenario {name}", f"name a file, or one of {known}"))
    return _load(path, trace, days)


def _load(path: Path, trace: str, days: float) -> Scene:
    problems: list[Problem] = []
    tree = document.read(path, str(path), "file", problems)
    places = {document.dotted(key): node.place for key, node in document.walk(tree)}
    try:
        scenario = Scenario.model_validate(_plain(tree))
    except ValidationError as error:
        for each in error.errors():
            key, what, remedy = explain(each)
            dotted = document.dotted(key)
            place = places.get(dotted)
            problems.append(Problem(what, remedy, dotted, str(path), place.line if place else None))
    if problems:
        raise ArrieroError(problems)
    asked = scenario.model_copy(update={"trace": trace or scenario.trace, "days": days or scenario.days})
    return Scene(asked, read(asked.trace, Path.cwd() if trace else path.parent))


def _plain(node: document.Node) -> Any:
    if isinstance(node, document.Table):
        return {key: _plain(value) for key, value in node.entries.items()}
    return [_plain(each) for each in node.items] if isinstance(node, document.Items) else node.value
