"""What an image will weigh at each site, pure: its size, how long a new target waits for it, and what keeping it costs;
baked as the spec has it, and with every model in the site's storage instead.

A cold start here is until the models' bytes are there: loading them into memory comes on top of both ways alike. A
size, rate or price that nobody said is unknown, and so is what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from arriero.catalog import catalog
from arriero.cost import file_system
from arriero.cost.money import Money
from arriero.spec.model import ResolvedSite, Spec

Way = Literal["baked", "mounted"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes; None where they could not be learnt. `programs`: the image without its models."""

    programs: int | None
    models: Mapping[str, int | None]

    def of(self, names: list[str]) -> int | None:
        return _sum([self.models.get(name) for name in names])


@dataclass(frozen=True, slots=True)
class Row:
    """One site, one way. `monthly`: what the registry and the storage cost for one release, kept a month."""

    site: str
    way: Way
    image: int | None
    pull_seconds: float | None
    cold_seconds: float | None
    monthly: Money | None
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        return {
            "site": self.site,
            "way": self.way,
            "image_bytes": self.image,
            "pull_seconds": None if self.pull_seconds is None else round(self.pull_seconds),
            "cold_start_seconds": None if self.cold_seconds is None else round(self.cold_seconds),
            "stored_a_month": None if self.monthly is None else str(self.monthly.rounded),
            "warnings": list(self.warnings),
        }


def forecast(spec: Spec, sizes: Sizes) -> list[Row]:
    """Two rows a site that is in a cloud: this machine pulls nothing."""
    names = [model.name for model in spec.models]
    baked = [model.name for model in spec.models if model.source == "baked"]
    rows = []
    for name, site in spec.sites.items():
        if site.cloud != "local":
            rows.append(_row(spec.site(name), "baked", sizes, baked, [one for one in names if one not in baked]))
            rows.append(_row(spec.site(name), "mounted", sizes, [], names))
    return rows


def _row(site: ResolvedSite, way: Way, sizes: Sizes, baked: list[str], mounted: list[str]) -> Row:
    image = _sum([sizes.programs, sizes.of(baked)])
    stored = sizes.of(mounted)
    pull = _seconds(site.cloud, "image", image)
    read = _reading(site, stored) if mounted else 0.0
    cold = None if pull is None or read is None else pull + read
    cost = _monthly(site, {"registry.storage": image, "files.storage": stored})
    return Row(site.name, way, image, pull, cold, cost, tuple(_warnings(site, sizes, baked)))


def _warnings(site: ResolvedSite, sizes: Sizes, baked: list[str]) -> Iterator[str]:
    """What is known of the image is enough to say that it is too large."""
    least = sum(size or 0 for size in [sizes.programs, *(sizes.models.get(name) for name in baked)])
    limit = catalog.aci_limits()
    if site.cloud == "azure" and least > limit.image_gib * 2**30:
        what = f"the image has {least / 2**30:.1f} GiB, and Container Instances takes {limit.image_gib:.0f} GiB at most"
        yield f"{what}; take a smaller model, or leave one out"
    if site.cloud == "aws" and least > site.size.storage:
        what = f"the image has {least / 2**30:.1f} GiB, and a target's disk {site.size.storage}"
        yield f"{what}; write a larger size.storage"


def _seconds(cloud: str, what: Literal["image", "storage"], size: int | None) -> float | None:
    rate = catalog.transfer(cloud, what)
    return None if rate is None or size is None else size / rate.bytes_a_second


def _reading(site: ResolvedSite, size: int | None) -> float | None:
    if site.cloud != "aws" or size is None:
        return _seconds(site.cloud, "storage", size)
    rate = file_system.bytes_a_second(site)
    return None if rate is None else size / rate


def _monthly(site: ResolvedSite, kept: Mapping[str, int | None]) -> Money | None:
    """None where a size or a price of it is unknown. A GB of the price lists is 10^9 bytes here."""
    total = Money()
    for item, size in kept.items():
        if size == 0:
            continue
        price = catalog.price(site.cloud, site.region, item)
        if price is None or size is None:
            return None
        total += Money(price.amount) * (Decimal(size) / 10**9)
    return total


def _sum(parts: list[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
