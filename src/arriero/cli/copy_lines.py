"""How an image's copies in other regions look in a plan: where they are, and what a GB of them costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from arriero.catalog.prices import Prices
from arriero.events import Json
from arriero.plan import registries
from arriero.plan.model import Plan
from arriero.spec.model import Spec

# The storage of a registry, which `arriero prices update` reads; a GB on its way from one region to another, which only
# the user can write into `arriero.prices.json`; and a Premium registry's stand in one more region.
STORED, SENT, STANDING = "registry.storage", "registry.copied", "registry.replica"


def plan_lines(spec: Spec, plan: Plan, prices: Prices) -> list[str]:
    """A line a copy. How many GB it will be, only the image's own layers say: those of all releases that are kept. At
    Azure a region's price is by the day; none is told where nobody knows in which one the registry stands already.
    """
    return [
        f"images: a copy in {each['cloud']} {each['region']}, {_words(each)}" for each in priced(spec, plan, prices)
    ]


def priced(spec: Spec, plan: Plan, prices: Prices) -> Iterator[Mapping[str, Json]]:
    """Each copy with the prices in US dollars as texts; None where no source says one."""
    yield from _in_ecr(spec, prices)
    home = {each.region for each in plan.registries if each.cloud == "azure" and each.region}
    for region in registries.abroad(spec):
        if home and region not in home:
            daily = prices.find("azure", region, STANDING)
            yield {"cloud": "azure", "region": region, "daily": str(daily.amount) if daily else None}


def _in_ecr(spec: Spec, prices: Prices) -> Iterator[Mapping[str, Json]]:
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


def _words(copy: Mapping[str, Json]) -> str:
    if copy["cloud"] == "azure":
        return f"at {_said(copy['daily'], 'a day')}"
    return f"each GB at {_said(copy['stored'], 'a month')}, and at {_said(copy['sent'], 'once')} to bring it there"


def _said(price: Json, when: str) -> str:
    return f"${price} {when}" if price else "an unknown price"
