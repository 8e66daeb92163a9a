"""Secrets that targets get by reference: which clouds can take them, and from where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from arriero.errors import Problem
from arriero.spec import secret_values
from arriero.spec.model import Site, Spec

MOST_AT_AZURE = 30  # each is a tag of its container group, which can have 50


def secret_problems(spec: Spec, owned: Callable[[str], str | None]) -> Iterator[Problem]:
    """`owned` says what to do instead about a variable that is arriero's own; None for any other."""
    for name, site in spec.sites.items():
        key = f"sites.{name}"
        given = site.environment_from or {}
        if (given or site.registry_login) and site.cloud == "local":
            what = f"only ECS and Container Instances take secrets by reference, and {name} is in {site.cloud}"
            yield Problem(what, "remove it", f"{key}.{'environment_from' if given else 'registry_login'}")
            continue
        written = {**spec.environment, **(site.environment or {})}
        for variable in given:
            if remedy := owned(variable):
                yield Problem("is set by arriero", f"remove it; {remedy}", f"{key}.environment_from.{variable}")
            elif variable in written:
                what = f"{variable} is in environment, too"
                yield Problem(what, "keep one of them", f"{key}.environment_from.{variable}")
        if site.cloud == "azure":
            yield from _name_problems(key, given)
        yield from _place_problems(key, site, _references(site))


def _references(site: Site) -> Mapping[str, str]:
    found = {f"environment_from.{name}": reference for name, reference in (site.environment_from or {}).items()}
    return {**found, **({"registry_login": site.registry_login} if site.registry_login else {})}


def _place_problems(key: str, site: Site, references: Mapping[str, str]) -> Iterator[Problem]:
    for where, found in references.items():
        if secret_values.is_in_key_vault(found) != (site.cloud == "azure"):
            yield _foreign(f"{key}.{where}", site)
        elif site.cloud == "aws" and secret_values.region_of(found) != site.region:
            what = f"is kept in {secret_values.region_of(found)}, and the site's tasks are in {site.region}"
            yield Problem(what, f"keep a copy in {site.region}, and name that", f"{key}.{where}")


def _foreign(key: str, site: Site) -> Problem:
    if site.cloud == "aws":
        what, wanted = "is kept in Key Vault, and ECS reads from AWS only", f"an ARN like {secret_values.ARN_EXAMPLE}"
    else:
        what = "is kept at AWS, and secrets of a site in Azure come from Key Vault"
        wanted = f"an address like {secret_values.ADDRESS_EXAMPLE}"
    return Problem(what, f"keep a copy there, and write {wanted}", key)


def _name_problems(key: str, given: Mapping[str, str]) -> Iterator[Problem]:
    """The version of each is a tag of the container groups, and names of tags know no case."""
    if len(given) > MOST_AT_AZURE:
        what = f"has {len(given)} variables, and Azure's tags suffice for {MOST_AT_AZURE}"
        yield Problem(what, "put several values into one secret", f"{key}.environment_from")
    seen: dict[str, str] = {}
    for variable in given:
        if (first := seen.setdefault(variable.lower(), variable)) != variable:
            what = f"differs from {first} by its case only, and Azure's tags don't tell them apart"
            yield Problem(what, "rename one of them", f"{key}.environment_from.{variable}")
