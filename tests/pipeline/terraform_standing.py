"""Sites that stand exactly as they are wished for."""

from __future__ import annotations

from dataclasses import replace

from terraform_specs import nothing

from arriero.plan import place
from arriero.plan.model import Facts
from arriero.plan.wanted import aws, azure
from arriero.spec.model import Spec


def as_wished(wish: Spec, name: str) -> Facts:
    """One site at AWS; ids tell what they are of."""
    site, empty = wish.site(name), nothing(wish)
    digest = place.definition_hash(aws.definition(site))
    there = tuple(
        replace(each, id=f"{each.kind}/{each.name}") for each in aws.wanted(site, empty.sites[name], 1, 2, digest)
    )
    return replace(empty, sites={**empty.sites, name: replace(empty.sites[name], resources=there, count=2)})


def azure_as_wished(wish: Spec, name: str, count: int = 2) -> Facts:
    """One site at Azure; ids tell what they are of."""
    site, empty = wish.site(name), nothing(wish, "1")
    digest = place.definition_hash(azure.definition(site))
    there = tuple(
        replace(each, id=f"/{each.kind}/{each.name}")
        for each in azure.wanted(site, empty.sites[name], 1, count, digest)
    )
    return replace(empty, sites={**empty.sites, name: replace(empty.sites[name], resources=there, count=count)})
