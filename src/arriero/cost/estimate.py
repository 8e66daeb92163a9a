"""What a site is expected to cost while so many targets run: list prices, before tax, discounts and free amounts.

A month has 730 hours (365 days / 12), as both clouds' calculators have it. A GiB is taken for the GB of the price
lists, because that is how both clouds bill the memory that a task or group asks for. What has no known price is listed
under `unknown` and is in no sum; what depends on use (log volume, traffic) is under `by_use` with its unit price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from arriero.catalog import catalog
from arriero.catalog.catalog import Source
from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cost import edge, file_system, machine, private_endpoint, way_out
from arriero.cost.money import Money
from arriero.spec.gpu import is_virtual
from arriero.spec.model import ResolvedSite

HOURS_A_MONTH = Decimal(730)


@dataclass(frozen=True, slots=True)
class Line:
    """One item at its price: `quantity` units an hour at `unit_price` each."""

    item: str
    quantity: Decimal
    unit: str
    unit_price: Money
    source: Source

    @property
    def hourly(self) -> Money:
        return self.unit_price * self.quantity

    @property
    def monthly(self) -> Money:
        return self.hourly * HOURS_A_MONTH


@dataclass(frozen=True, slots=True)
class ByUse:
    """An item whose amount nobody knows beforehand; `unit_price` is None where that is unknown, too."""

    item: str
    unit: str
    unit_price: Money | None
    source: Source | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """An item that is billed, at a price that no source says: `quantity` units an hour."""

    item: str
    quantity: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one site costs with `count` targets, as far as it is known."""

    site: str
    cloud: str
    region: str
    count: int
    lines: tuple[Line, ...] = ()
    by_use: tuple[ByUse, ...] = ()
    unknown: tuple[Unknown, ...] = ()

    @property
    def hourly(self) -> Money:
        return sum((line.hourly for line in self.lines), Money())

    @property
    def monthly(self) -> Money:
        return self.hourly * HOURS_A_MONTH

    @property
    def is_complete(self) -> bool:
        return not self.unknown

    @property
    def sentence(self) -> str:
        """The price in a few words: `$144.14 a month`, `at least $36.50 a month (price of … unknown)`."""
        if self.cloud == "local":
            return "no bill"
        if self.is_complete:
            return f"{self.monthly} a month"
        missing = ", ".join(item.item for item in self.unknown)
        return f"at least {self.monthly} a month (price of {missing} unknown)" if self.lines else "price unknown"

    def as_json(self) -> dict[str, object]:
        return {
            "currency": "USD",
            "hourly": str(self.hourly.amount.normalize()) if self.lines else None,
            "monthly": str(self.monthly.rounded) if self.lines or self.is_complete else None,
            "complete": self.is_complete,
            "lines": [_line_json(line) for line in self.lines],
            "by_use": [_by_use_json(item) for item in self.by_use],
            "unknown": [{"item": u.item, "quantity": str(u.quantity), "unit": u.unit} for u in self.unknown],
        }


@dataclass(frozen=True, slots=True)
class _Need:
    """What a site uses each hour, before its price is looked up."""

    item: str
    key: str
    quantity: Decimal
    unit: str


def estimate(site: ResolvedSite, count: int, prices: Prices = BUILT_IN) -> Estimate:
    """The expected cost of `count` targets at that site, all of them running all the time, and of its spares.

    Its machine and its way out are those that the plan takes, by the catalog's prices; `prices` say what they cost.
    """
    lines: list[Line] = []
    unknown: list[Unknown] = []
    for need in _needs(site, count):
        price = prices.find(site.cloud, site.region, need.key)
        if price:
            lines.append(Line(need.item, need.quantity, price.unit, Money(price.amount), price.source))
        else:
            unknown.append(Unknown(need.item, need.quantity, need.unit))
    uses = tuple(_by_use(site, prices))
    return Estimate(site.name, site.cloud, site.region, count, tuple(lines), uses, tuple(unknown))


def _needs(site: ResolvedSite, count: int) -> Iterator[_Need]:
    if site.alb:
        yield _Need("load balancer", "load_balancer", Decimal(1), "hour")
    if site.edges:
        yield from _edges(site, Decimal(site.edges.count))
    if provisioned := file_system.provisioned(site):
        yield _Need("EFS throughput", "files.provisioned", provisioned, "MiB/s-hour")
    cpu, memory = Decimal(str(float(site.size.cpu))), Decimal(str(site.size.memory.in_gib))
    if site.gpu and count and site.cloud == "aws":
        yield from _machines(site, count)
    elif site.cloud == "aws" and count:
        spot = site.spot.of(count) if site.spot else 0
        if count > spot:
            yield _Need("vCPU", "fargate.vcpu", cpu * (count - spot), "vCPU-hour")
            yield _Need("memory", "fargate.memory", memory * (count - spot), "GB-hour")
        if spot:
            yield _Need("Spot vCPU", "fargate.spot.vcpu", cpu * spot, "vCPU-hour")
            yield _Need("Spot memory", "fargate.spot.memory", memory * spot, "GB-hour")
        extra = Decimal(str(site.size.storage.in_gib)) - catalog.fargate_limits().storage_included_gib
        if extra > 0:
            yield _Need("storage", "fargate.storage", extra * count, "GB-hour")
        if not site.network.is_private:
            yield _Need("public IPv4", "public_ipv4", Decimal(count), "address-hour")
    if site.cloud == "aws" and site.network.is_private and not site.network.vpc:
        way = way_out.cheapest(site)
        yield from (_Need(part.item, part.key, part.quantity, part.unit) for part in way_out.parts(site, way))
    elif site.cloud == "azure":
        if is_virtual(site.gpu):
            yield from _virtual_machines(site, Decimal(count))
        elif site.gpu:
            yield from _apps(site, count)
        elif count:
            yield _Need("vCPU", "aci.vcpu", cpu * count, "vCPU-hour")
            yield _Need("memory", "aci.memory", memory * count, "GB-hour")
        if count and site.spares:
            yield _Need("vCPU of spares", "aci.vcpu", cpu * site.spares, "vCPU-hour")
            yield _Need("memory of spares", "aci.memory", memory * site.spares, "GB-hour")
        if site.azure_edges:
            yield from _azure_edges(Decimal(site.azure_edges.count))
        yield _Need("NAT gateway", "nat_gateway", Decimal(1), "hour")
        yield _Need("public IPv4", "public_ipv4", Decimal(1), "address-hour")
        if endpoints := private_endpoint.count(site):
            yield _Need("private endpoint", private_endpoint.KEY, Decimal(endpoints), "hour")


def _edges(site: ResolvedSite, count: Decimal) -> Iterator[_Need]:
    yield _Need("vCPU of edges", "fargate.vcpu", edge.VCPUS * count, "vCPU-hour")
    yield _Need("memory of edges", "fargate.memory", edge.MEMORY_GIB * count, "GB-hour")
    if not site.network.is_private:
        yield _Need("public IPv4 of edges", "public_ipv4", count, "address-hour")
    yield _Need("private zone", "private_zone", Decimal(1), "zone-hour")


def _azure_edges(count: Decimal) -> Iterator[_Need]:
    """Paid as if all were at work all the time. Azure puts a load balancer before them; the price of the private zone
    is in no catalog of ours.
    """
    yield _Need("vCPU of edges", "aca.vcpu", edge.VCPUS * count, "vCPU-hour")
    yield _Need("memory of edges", "aca.memory", edge.MEMORY_GIB * count, "GB-hour")
    yield _Need("load balancer of edges", "load_balancer", Decimal(1), "hour")


def _machines(site: ResolvedSite, count: int) -> Iterator[_Need]:
    """A machine is paid whole, whether its targets fill it or not; ECS takes a fee by type for each that it manages."""
    chosen = machine.chosen(site)
    number = Decimal(machine.needed(site, chosen, count))
    yield _Need(chosen.name, f"ec2.{chosen.name}", number, "machine-hour")
    if site.gpu and site.gpu.is_managed:
        yield _Need(f"management of {chosen.name}", f"ecs.managed.{chosen.name}", number, "machine-hour")
    yield _Need("disk", "ec2.disk", number * machine.disk_gib(site, chosen), "GB-hour")
    if not site.network.is_private:
        yield _Need("public IPv4", "public_ipv4", number, "address-hour")


def _apps(site: ResolvedSite, count: int) -> Iterator[_Need]:
    """An app has its profile whole, and is paid by what it asks for while it runs; Azure puts a load balancer before
    them (https://learn.microsoft.com/azure/container-apps/custom-virtual-networks#managed-resources).
    """
    chosen = machine.chosen(site)
    if count:
        yield _Need("vCPU", "aca.vcpu", Decimal(chosen.cpu * count), "vCPU-hour")
        yield _Need("memory", "aca.memory", Decimal(str(chosen.memory_gib)) * count, "GB-hour")
        yield _Need(f"GPU {chosen.gpu}", f"aca.gpu.{chosen.gpu}", Decimal(count), "GPU-hour")
    yield _Need("load balancer", "load_balancer", Decimal(1), "hour")


def _virtual_machines(site: ResolvedSite, count: Decimal) -> Iterator[_Need]:
    """A target has a machine and its disk whole."""
    chosen, tier = machine.chosen(site), machine.disk_tier(site)
    if count:
        yield _Need(chosen.name, f"vm.{chosen.name}", count, "machine-hour")
        yield _Need(f"disk {tier}", f"vm.disk.{tier}", count, "disk-hour")


def _by_use(site: ResolvedSite, prices: Prices) -> Iterator[ByUse]:
    wanted = {"aws": [("logs", "logs.ingested")], "azure": [("NAT gateway data", "nat_gateway.data")]}.get(
        site.cloud, []
    )
    if site.has_workspace:
        wanted = [*wanted, ("logs", "logs.ingested")]
    if site.cloud == "aws" and site.network.is_private and not site.network.vpc:
        wanted = [*wanted, way_out.traffic(way_out.cheapest(site))]
    if private_endpoint.count(site):
        wanted = [*wanted, ("private endpoint data", private_endpoint.DATA_KEY)]
    if file_system.is_used(site) and site.storage.mode == "elastic":
        wanted = [*wanted, ("reads of stored models", "files.read")]
    rows = [(item, key, "GB") for item, key in wanted]
    if site.alb:  # the greatest of new connections, open ones, bytes and rules, hour by hour
        rows.append(("load balancer capacity", "load_balancer.capacity", "LCU-hour"))
    if site.edges:  # each asks every two seconds
        rows.append(("questions to the private zone", "private_zone.questions", "1M questions"))
    if site.cloud == "aws" and site.metrics.is_billed:  # how many figures there are goes by tasks and containers
        rows.append(("Container Insights", f"container_insights.{site.metrics.container_insights}", "metric-month"))
    for item, key, unit in rows:
        price = prices.find(site.cloud, site.region, key)
        yield ByUse(item, unit, Money(price.amount) if price else None, price.source if price else None)


def _line_json(line: Line) -> dict[str, object]:
    return {
        "item": line.item,
        "quantity": str(line.quantity),
        "unit": line.unit,
        "unit_price": str(line.unit_price.amount),
        "monthly": str(line.monthly.rounded),
        "source": _source_json(line.source),
    }


def _by_use_json(item: ByUse) -> dict[str, object]:
    return {
        "item": item.item,
        "unit": item.unit,
        "unit_price": str(item.unit_price.amount) if item.unit_price else None,
        "source": _source_json(item.source) if item.source else None,
    }


def _source_json(source: Source) -> dict[str, str]:
    return {"page": source.page, "read": source.read, "as_of": source.as_of}
