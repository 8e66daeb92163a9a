"""What a private site in Azure pays for private endpoints: each by the hour, and by the gigabyte that goes through it.
Their DNS zones are billed, too, at a price that is in no catalog of ours.
"""

from __future__ import annotations

from decimal import Decimal

from arriero.catalog.prices import BUILT_IN, Prices
from arriero.cost.money import Money
from arriero.spec import secret_values
from arriero.spec.image import registry_of
from arriero.spec.model import ResolvedSite

KEY, DATA_KEY = "private_endpoint", "private_endpoint.data"
HOURS_A_MONTH = Decimal(730)


def leads_to_storage(site: ResolvedSite) -> bool:
    """The site is private, and models come from its storage."""
    has_stored = any(model.source == "storage" for model in site.models)
    return site.cloud == "azure" and site.network.is_private and has_stored


def vaults(site: ResolvedSite) -> tuple[str, ...]:
    """The names of the vaults that have one, if the spec asks for it."""
    if not (site.cloud == "azure" and site.network.is_private and "vault" in site.network.private_endpoints):
        return ()
    references = [*site.environment_from.values(), *([site.registry_login] if site.registry_login else [])]
    return tuple(sorted({secret_values.vault_of(reference) for reference in references}))


def registry(site: ResolvedSite) -> str:
    """The login server of the registry that has one, if the spec asks for it; empty where none has."""
    asked = site.cloud == "azure" and site.network.is_private and "registry" in site.network.private_endpoints
    return registry_of(site.image) if asked and site.registry_identity else ""


def count(site: ResolvedSite) -> int:
    return leads_to_storage(site) + len(vaults(site)) + bool(registry(site))


def sentence(site: ResolvedSite, prices: Prices = BUILT_IN) -> str:
    """What one costs: `$7.30 a month and $0.01 a GB`, or that nobody knows."""
    hour, byte = (prices.find(site.cloud, site.region, key) for key in (KEY, DATA_KEY))
    if hour is None:
        return "price unknown"
    a_gigabyte = f" and ${byte.amount.normalize():f} a GB" if byte else ""
    return f"{Money(hour.amount) * HOURS_A_MONTH} a month{a_gigabyte}"
