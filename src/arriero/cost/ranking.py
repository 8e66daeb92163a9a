"""What one more target costs an hour at each site: by this the gateway fills cheap sites before dear ones. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cost.estimate import estimate
from arriero.spec.model import ResolvedSite, Spec


def hourly_of_a_target(site: ResolvedSite, prices: Prices = BUILT_IN) -> float | None:
    """US dollars at list prices, without what the site costs anyway; None where a part of it has no known price.

    With Spot the mean of its targets at their greatest number. A price of Spot that is not known is no more than that
    on demand, and counts as that.
    """
    site = site.model_copy(update={"spares": 0})
    count = max(1, site.max) if site.spot else 1
    whole, anyway = estimate(site, count, prices), estimate(site, 0, prices)
    if len(whole.unknown) > len(anyway.unknown):
        return hourly_of_a_target(site.model_copy(update={"spot": None}), prices) if site.spot else None
    return float((whole.hourly - anyway.hourly).amount / count)


def hourly_by_site(spec: Spec, prices: Prices = BUILT_IN) -> Mapping[str, float]:
    """By site. A price that is not known counts as the dearest known one: no guess makes a site the first choice."""
    known = {name: hourly_of_a_target(spec.site(name), prices) for name in spec.sites}
    dearest = max((price for price in known.values() if price is not None), default=0.0)
    return {name: dearest if price is None else price for name, price in known.items()}
