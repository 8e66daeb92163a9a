"""Identities of container groups and apps, and the registries that they pull from with them: as they are read, and in
Resource Manager's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from arriero.events import Json
from arriero.plan.model import Value

Found = Mapping[str, Any]


def told(item: Found, registries: Iterable[Found] | None) -> Mapping[str, Value]:
    """In the plan's words; nothing where it has none. A registry that is asked with a login is not among them."""
    names = tuple(sorted(map(str.lower, _user_assigned(item))))
    asked = {str(each["server"]): str(each["identity"]).lower() for each in registries or () if each.get("identity")}
    found: Mapping[str, Value] = {"identities": names, "registries": asked}
    return {name: value for name, value in found.items() if value}


def given(values: Mapping[str, Value]) -> dict[str, Json]:
    """The member `identity` of a body; nothing where the wish has none."""
    names = cast("tuple[str, ...]", values.get("identities", ()))
    return _member(names) if names else {}


def registries(values: Mapping[str, Value]) -> list[Json]:
    asked = cast("Mapping[str, str]", values.get("registries", {}))
    return [{"server": server, "identity": identity} for server, identity in asked.items()]


def copied(item: Found) -> dict[str, Json]:
    """The member for a copy, without what Azure adds about each identity."""
    names = tuple(_user_assigned(item))
    return _member(names) if names else {}


def _member(names: Iterable[str]) -> dict[str, Json]:
    identities: dict[str, Json] = {each: {} for each in names}
    return {"identity": {"type": "UserAssigned", "userAssignedIdentities": identities}}


def _user_assigned(item: Found) -> Mapping[str, Any]:
    return (item.get("identity") or {}).get("userAssignedIdentities") or {}
