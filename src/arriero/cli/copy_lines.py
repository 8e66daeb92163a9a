"""How an image's copies in other regions look in a plan: where they are, and what a GB of them costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from arriero.catalog.prices import Prices
from arriero.events import Json
from arriero.plan import registries
from arriero.spec.model import Spec

# The storage of a registry, which `arriero prices update` reads; and a GB on its way from one region to another, which
# only the user can write into `arriero.prices.json`.
STORED, SENT = "registry.storage", "registry.copied"


def plan_lines(spec: Spec, prices: Prices) -> list[str]:
    """A line a copy. How many GB it will be, only the image's own layers say: those of all releases that are kept."""
    return [
        f"images: a copy in aws {each['region']}, each GB at {_said(each['stored'], 'a month')}, "
        f"and at {_said(each['sent'], 'once')} to bring it there"
        for each in priced(spec, prices)
    ]


def priced(spec: Spec, prices: Prices) -> Iterator[Mapping[str, Json]]:
    """Each copy with the prices in US dollars as texts; None where no source says one."""
    home = registries.place(spec)
    for copy in registries.copies(spec):
        stored = prices.find("aws", copy.region, STORED)
        sent = prices.find("aws", home.region, SENT) if home else None
        yield {
            "cloud": "aws",
            "region": copy.region,
            "stored": str(stored.amount) if stored else None,
            "sent": str(sent.amount) if sent else None,
        }


def _said(price: Json, when: str) -> str:
    return f"${price} {when}" if price else "an unknown price"
