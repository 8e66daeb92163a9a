"""Secrets that targets get by reference: which clouds can take them, and from where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from arriero.errors import Problem
from arriero.spec import secret_values
from arriero.spec.model import Site, Spec


def secret_problems(spec: Spec, owned: Callable[[str], str | None]) -> Iterator[Problem]:
    """`owned` says what to do instead about a variable that is arriero's own; None for any other."""
    for name, site in spec.sites.items():
        key = f"sites.{name}"
        given = site.environment_from or {}
        if (given or site.registry_login) and site.cloud != "aws":
            what = f"only ECS takes secrets by reference, and {name} is in {site.cloud}"
            yield Problem(what, "remove it", f"{key}.{'environment_from' if given else 'registry_login'}")
            continue
        written = {**spec.environment, **(site.environment or {})}
        for variable in given:
            if remedy := owned(variable):
                yield Problem("is set by arriero", f"remove it; {remedy}", f"{key}.environment_from.{variable}")
            elif variable in written:
                what = f"{variable} is in environment, too"
                yield Problem(what, "keep one of them", f"{key}.environment_from.{variable}")
        yield from _region_problems(key, site, _arns(site))


def _arns(site: Site) -> Mapping[str, str]:
    found = {f"environment_from.{name}": arn for name, arn in (site.environment_from or {}).items()}
    return {**found, **({"registry_login": site.registry_login} if site.registry_login else {})}


def _region_problems(key: str, site: Site, arns: Mapping[str, str]) -> Iterator[Problem]:
    for where, arn in arns.items():
        if secret_values.region_of(arn) != site.region:
            what = f"is kept in {secret_values.region_of(arn)}, and the site's tasks are in {site.region}"
            yield Problem(what, f"keep a copy in {site.region}, and name that", f"{key}.{where}")
