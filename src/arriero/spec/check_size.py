"""Sizes: what Fargate and ACI can run one target with. A size that several sites share is complained of once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from arriero.catalog import catalog
from arriero.catalog.catalog import FargatePair
from arriero.errors import Problem
from arriero.spec.model import Spec
from arriero.spec.size import Size

Rule = Callable[[str, Size, str], Iterator[Problem]]


def size_problems(spec: Spec) -> Iterator[Problem]:
    """What each cloud can't do of the sizes that its sites ask for."""
    rules: dict[str, Rule] = {"aws": _fargate_problems, "azure": _aci_problems}
    sharing: dict[tuple[str, str], list[str]] = {}
    for name, site in spec.sites.items():
        if site.gpu:  # its machines have sizes of their own: `check_gpu.py`
            continue
        own = site.size is not None and bool(site.size.model_fields_set)
        sharing.setdefault((f"sites.{name}.size" if own else "size", site.cloud), []).append(name)
    for (key, cloud), names in sharing.items():
        if cloud in rules:
            users = "" if key != "size" else f" ({', '.join(names)})"
            yield from rules[cloud](key, spec.site(names[0]).size, users)


def _fargate_problems(key: str, size: Size, users: str) -> Iterator[Problem]:
    nearest = catalog.nearest_fargate(float(size.cpu), size.memory.in_gib)
    if len(nearest) > 1:
        what = f"Fargate has no task of {_pair(size)}{users}"
        yield Problem(what, f"nearest are {nearest[0]} and {nearest[1]}", key)
    limits = catalog.fargate_limits()
    storage = size.storage.in_gib
    is_included = storage == limits.storage_included_gib
    if not is_included and not (limits.storage_min_gib <= storage <= limits.storage_max_gib and storage.is_integer()):
        what = f"Fargate has no storage of {size.storage}{users}"
        remedy = f"use {limits.storage_included_gib}GiB, which is included, to {limits.storage_max_gib}GiB in whole GiB"
        yield Problem(what, remedy, f"{key}.storage")


def _aci_problems(key: str, size: Size, users: str) -> Iterator[Problem]:
    limits = catalog.aci_limits()
    if size.cpu > limits.cpu:
        yield Problem(f"is {size.cpu}; an ACI group has at most {limits.cpu:g}{users}", "use fewer", f"{key}.cpu")
    if size.memory.in_gib > limits.memory_gib:
        what = f"is {size.memory}; an ACI group has at most {limits.memory_gib:g}GiB{users}"
        yield Problem(what, "use less, or a smaller model", f"{key}.memory")
    if size.storage.in_gib > limits.storage_gib:
        what = f"is {size.storage}; an ACI group has at most {limits.storage_gib:g}GiB{users}"
        yield Problem(what, "use less, or a smaller model", f"{key}.storage")


def _pair(size: Size) -> str:
    return str(FargatePair(float(size.cpu), size.memory.in_gib)) if size.memory.in_gib >= 0.1 else f"{size.memory}"
