"""Differences between what a site should hold and what it holds, each with a reason a person can read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from arriero.plan.model import Action, Change, Difference, Resource, Value

UNASKED = "it carries our tags, and the spec no longer asks for it"


def compare(
    site: str,
    wanted: Iterable[Resource],
    found: Iterable[Resource],
    immutable: Mapping[str, Iterable[str]],
    removal_reasons: Mapping[str, str] | None = None,
) -> tuple[Change, ...]:
    """What to create, update, replace or remove so that `found` becomes `wanted`.

    `immutable` names, by kind, the properties that no cloud can change in place ("*" for all): a difference there means
    replace. `removal_reasons` says, by name, why a thing goes that is not simply unasked for. Only properties that the
    wish names are compared; what a cloud adds of its own is left alone.
    """
    have = {(r.kind, r.name): r for r in found}
    wish = {(r.kind, r.name): r for r in wanted}
    changes = [_change(site, resource, have.get(key), immutable) for key, resource in wish.items()]
    leftovers = [resource for key, resource in have.items() if key not in wish]
    removals = [Change(site, "remove", r.kind, r.name, (removal_reasons or {}).get(r.name, UNASKED)) for r in leftovers]
    return tuple([change for change in changes if change] + removals)


def _change(
    site: str, wanted: Resource, found: Resource | None, immutable: Mapping[str, Iterable[str]]
) -> Change | None:
    if found is None:
        return Change(site, "create", wanted.kind, wanted.name, "it is not there")
    differences = tuple(_differences(wanted.properties, found.properties))
    if not differences:
        return None
    fixed = set(immutable.get(wanted.kind, ()))
    replaced = "*" in fixed or any(d.property.split(".")[0] in fixed for d in differences)
    action: Action = "replace" if replaced else "update"
    return Change(site, action, wanted.kind, wanted.name, "; ".join(map(describe, differences)), differences)


def _differences(wanted: Mapping[str, Value], found: Mapping[str, Value], prefix: str = "") -> Iterable[Difference]:
    """One Difference a leaf: mappings are walked into, everything else is compared whole."""
    for name, wish in wanted.items():
        have = found.get(name)
        if isinstance(wish, Mapping) and isinstance(have, Mapping):
            known = {**dict.fromkeys(have), **wish}
            yield from _differences(known, have, f"{prefix}{name}.")
        elif wish != have:
            yield Difference(f"{prefix}{name}", have, wish)


def describe(difference: Difference) -> str:
    """`cpu: is 2048, should be 4096`."""
    return f"{difference.property}: is {_show(difference.found)}, should be {_show(difference.wanted)}"


def _show(value: Value) -> str:
    if value is None:
        return "not set"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_show, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_show(v)}" for k, v in value.items()) + "}"
    return str(value)
