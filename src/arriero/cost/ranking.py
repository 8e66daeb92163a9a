"""What one more target costs an hour at each site: by this the gateway fills cheap sites before dear ones. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from arriero.cost.estimate import estimate
from arriero.spec.model import ResolvedSite, Spec


def hourly_of_a_target(site: ResolvedSite) -> float | None:
    """US dollars at list prices, without what the site costs anyway; None where a part of it has no known price."""
    whole, anyway = estimate(site, 1), estimate(site, 0)
    if len(whole.unknown) > len(anyway.unknown):
        return None
    return float((whole.hourly - anyway.hourly).amount)


def hourly_by_site(spec: Spec) -> Mapping[str, float]:
    """By site. A price that is not known counts as the dearest known one: no guess makes a site the first choice."""
    prices = {name: hourly_of_a_target(spec.site(name)) for name in spec.sites}
    dearest = max((price for price in prices.values() if price is not None), default=0.0)
    return {name: dearest if price is None else price for name, price in prices.items()}
