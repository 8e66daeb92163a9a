"""How private targets at AWS reach what they need, by price: one NAT gateway with its address, or interface endpoints
in both zones. S3's gateway endpoint, which has the layers of images, costs nothing.

Which endpoints a task on Fargate needs: "Amazon ECR interface VPC endpoints" in ECR's guide and "Amazon ECS interface
VPC endpoints" in ECS's (both read 2026-11-29): none of ECS's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cost.money import Money
from arriero.spec import secret_values
from arriero.spec.check_network import is_in_ecr
from arriero.spec.model import ResolvedSite

WayOut = Literal["nat", "endpoints"]
ZONES = 2
HOURS_A_MONTH = Decimal(730)


@dataclass(frozen=True, slots=True)
class Part:
    """What a way out is billed for: `quantity` of them by the hour, by the catalog's key."""

    item: str
    key: str
    quantity: Decimal
    unit: str


def interfaces(site: ResolvedSite) -> tuple[str, ...]:
    """AWS's services that tasks call, by the end of their endpoints' names: those that keep their secrets, too."""
    references = [*site.environment_from.values(), *([site.registry_login] if site.registry_login else [])]
    references += [arn for arn in site.edges.keys if secret_values.region_of(arn) == site.region] if site.edges else []
    machines = ("ecs", "ecs-agent", "ecs-telemetry") if site.gpu else ()
    return ("ecr.api", "ecr.dkr", "logs", *machines, *sorted({secret_values.service_of(arn) for arn in references}))


def choices(site: ResolvedSite) -> tuple[WayOut, ...]:
    """The ways that lead to all that the site's tasks need: endpoints lead to ECR of the same region only."""
    has_stored = any(model.source == "storage" for model in site.models)
    return ("nat", "endpoints") if is_in_ecr(site) and not has_stored else ("nat",)


def parts(site: ResolvedSite, way: WayOut) -> tuple[Part, ...]:
    if way == "nat":
        return (
            Part("NAT gateway", "nat_gateway", Decimal(1), "hour"),
            Part("public IPv4", "public_ipv4", Decimal(1), "address-hour"),
        )
    return (Part("endpoints", "vpc_endpoint", Decimal(len(interfaces(site)) * ZONES), "hour"),)


def hourly(site: ResolvedSite, way: WayOut, prices: Prices = BUILT_IN) -> Money | None:
    """What it costs while nobody uses it; None where a price is unknown."""
    found = [(part, prices.find(site.cloud, site.region, part.key)) for part in parts(site, way)]
    if any(price is None for _, price in found):
        return None
    return sum((Money(price.amount) * part.quantity for part, price in found if price), Money())


def cheapest(site: ResolvedSite, prices: Prices = BUILT_IN) -> WayOut:
    """By the hour; the NAT gateway, which leads everywhere, where a price is unknown or they cost the same."""
    if site.network.way_out != "cheapest":
        return site.network.way_out
    if "endpoints" not in choices(site):
        return "nat"
    nat, endpoints = hourly(site, "nat", prices), hourly(site, "endpoints", prices)
    return "endpoints" if nat is not None and endpoints is not None and endpoints < nat else "nat"


def sentence(site: ResolvedSite, way: WayOut, prices: Prices = BUILT_IN) -> str:
    """`a NAT gateway, $36.50 a month and $0.045 a GB; endpoints would cost $43.80`."""
    said = f"{_NAMES[way]}, {_price(hourly(site, way, prices))}{_a_gigabyte(site, way, prices)}"
    others = [other for other in choices(site) if other != way]
    return "; ".join([said, *(f"{_NAMES[o]} would cost {_price(hourly(site, o, prices))}" for o in others)])


def traffic(way: WayOut) -> tuple[str, str]:
    """What is billed by the gigabyte: how it is called, and its key of the catalog."""
    return {"nat": "NAT gateway data", "endpoints": "endpoint data"}[way], _DATA[way]


_NAMES = {"nat": "a NAT gateway", "endpoints": "endpoints of AWS's services"}
_DATA = {"nat": "nat_gateway.data", "endpoints": "vpc_endpoint.data"}


def _price(found: Money | None) -> str:
    return "price unknown" if found is None else f"{found * HOURS_A_MONTH} a month"


def _a_gigabyte(site: ResolvedSite, way: WayOut, prices: Prices) -> str:
    found = prices.find(site.cloud, site.region, _DATA[way])
    return f" and ${found.amount.normalize():f} a GB" if found else ""
