"""Sites at Azure whose targets are virtual machines: what these are not given, and what can't be told them.

A target's variables are a file that Docker reads line by line (https://docs.docker.com/reference/cli/docker/container/run):
no value goes over several lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from arriero.errors import Problem
from arriero.spec.check_apps import company_problems
from arriero.spec.model import ResolvedSite, Spec

# The largest disk that a machine starts from: https://learn.microsoft.com/azure/virtual-machines/managed-disks-overview
MOST_STORAGE_GIB = 3900
PULLING = "an image that needs no login is in a public registry, or in one of this network"


def vm_problems(spec: Spec, site: ResolvedSite, key: str) -> Iterator[Problem]:
    """`key` is `sites.NAME.gpu`, of which the type is known on virtual machines."""
    yield from company_problems(spec, site, key, "virtual machines", PULLING)
    own = spec.sites[site.name]
    if own.registry_identity:
        what = f"virtual machines pull with no identity yet, and {key} has some"
        yield Problem(what, f"remove it, or gpu.machines; {PULLING}", f"sites.{site.name}.registry_identity")
    if site.size.storage.in_gib > MOST_STORAGE_GIB:
        has_own = own.size is not None and "storage" in own.size.model_fields_set
        what = f"is {site.size.storage}; the disk of a virtual machine has room for {MOST_STORAGE_GIB}GiB of it at most"
        yield Problem(what, "use less, or a smaller model", f"{f'sites.{site.name}.' if has_own else ''}size.storage")
    for name, value in site.environment.items():
        if "\n" in value or "\r" in value:
            place = f"sites.{site.name}.environment" if name in (own.environment or {}) else "environment"
            what = f"has several lines, and the variables of virtual machines ({key}) have one each"
            yield Problem(what, "write it in one line", f"{place}.{name}")
