"""The whole answer of `arriero cost`: each site at its counts, the Front Door, the budget, and what was spent. Pure.

A speed is one stream's, as a validation measured it; what a target gives when all its slots are busy is more, and costs
less a token. Nobody measured it, so it is not told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cost import front_door
from arriero.cost.budget import Judgement, judge
from arriero.cost.estimate import Estimate, estimate
from arriero.cost.money import Money
from arriero.cost.spending import Comparison, Period, compare, per_million_tokens
from arriero.spec.front_door import region_of
from arriero.spec.model import Spec


@dataclass(frozen=True, slots=True)
class SiteCost:
    """`now` is at the number of targets that run, or are planned where nothing stands; `most` at the greatest. The
    Front Door, which has no targets, is one by the name that its bill has.
    """

    now: Estimate
    most: Estimate
    stands: bool
    tokens: Mapping[str, Money] = field(default_factory=dict)
    """A million tokens of answers, by model; empty where no speed, or not every price, is known."""

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.now.site,
            "cloud": self.now.cloud,
            "region": self.now.region,
            "targets": self.now.count,
            "stands": self.stands,
            "price": self.now.as_json(),
            "most": {"targets": self.most.count, **_short(self.most)},
            "a_million_tokens": {model: str(money.rounded) for model, money in self.tokens.items()},
        }


@dataclass(frozen=True, slots=True)
class Statement:
    """`spent` is empty where nobody asked for the bills; `elsewhere` is what a bill has under no site of the spec."""

    service: str
    sites: tuple[SiteCost, ...]
    budget: Judgement | None
    at_most: Judgement | None
    period: Period | None = None
    spent: tuple[Comparison, ...] = ()
    elsewhere: Money = field(default_factory=Money)
    front_door: SiteCost | None = None

    @property
    def parts(self) -> tuple[SiteCost, ...]:
        """All that costs: the sites, and the Front Door where one is asked for."""
        return (*self.sites, *([self.front_door] if self.front_door else []))

    def as_json(self) -> dict[str, object]:
        return {
            "schema": 1,
            "service": self.service,
            "currency": "USD",
            "sites": [site.as_json() for site in self.sites],
            "front_door": _door_json(self.front_door) if self.front_door else None,
            "budget": self.budget.as_json() if self.budget else None,
            "budget_at_most": self.at_most.as_json() if self.at_most else None,
            "spent": self._spent_json() if self.period else None,
        }

    def _spent_json(self) -> dict[str, object]:
        assert self.period is not None
        return {
            "from": self.period.start.isoformat(),
            "to": self.period.end.isoformat(),
            "hours": str(round(self.period.hours, 4)),
            "sites": {each.site: each.as_json() for each in self.spent},
            "elsewhere": str(self.elsewhere.amount),
        }


Speeds = Mapping[str, Mapping[str, float]]
"""Tokens a second of one stream, by site, then by model."""


def state(
    spec: Spec,
    counts: Mapping[str, int | None],
    prices: Prices = BUILT_IN,
    speeds: Speeds | None = None,
    spent: Mapping[str, Money | None] | None = None,
    period: Period | None = None,
    door_stands: bool = False,
) -> Statement:
    """`counts`: how many targets run at each site; None (or absent) where nothing stands or nobody knows."""
    sites = tuple(_site(spec, name, counts.get(name), prices, (speeds or {}).get(name, {})) for name in spec.sites)
    door = _door(spec, prices, door_stands)
    parts = (*sites, *([door] if door else []))
    billed = {**spent} if spent is not None else {}
    elsewhere = [money for name, money in billed.items() if name not in {part.now.site for part in parts} and money]
    # What was billed where nothing stands any more is told, too: there nothing was to be expected.
    told = [site for site in parts if site.stands or billed.get(site.now.site)]
    estimates = {one.now.site: one.now if one.stands else replace(one.now, lines=(), unknown=()) for one in told}
    return Statement(
        spec.name,
        sites,
        judge(spec.budget, [part.now for part in parts]),
        judge(spec.budget, [part.most for part in parts]),
        period,
        compare(estimates, billed, period) if period else (),
        sum(elsewhere, Money()),
        door,
    )


def _door(spec: Spec, prices: Prices, stands: bool) -> SiteCost | None:
    door = spec.ingress.front_door
    if door is None:
        return None
    fee = front_door.estimate(door.sku, region_of(spec), prices)
    return SiteCost(fee, fee, stands)


def _door_json(door: SiteCost) -> dict[str, object]:
    known = door.as_json()
    return {key: known[key] for key in ("name", "cloud", "region", "stands", "price")}


def _site(spec: Spec, name: str, count: int | None, prices: Prices, speeds: Mapping[str, float]) -> SiteCost:
    site = spec.site(name)
    now = estimate(site, site.min if count is None else count, prices)
    return SiteCost(
        now, estimate(site, site.max, prices), count is not None, _tokens(estimate(site, 1, prices), speeds)
    )


def _tokens(one: Estimate, speeds: Mapping[str, float]) -> dict[str, Money]:
    if not one.is_complete or one.cloud == "local":
        return {}
    priced = {model: per_million_tokens(one.hourly, speed) for model, speed in speeds.items()}
    return {model: money for model, money in priced.items() if money is not None}


def _short(found: Estimate) -> dict[str, object]:
    return {
        "hourly": str(found.hourly.amount.normalize()) if found.lines else None,
        "monthly": str(found.monthly.rounded) if found.lines or found.is_complete else None,
    }


def missing(sites: Sequence[SiteCost]) -> tuple[str, ...]:
    """What has no known price, as `site: item`."""
    return tuple(f"{site.now.site}: {item.item}" for site in sites for item in site.most.unknown)
