"""What a request has to be allowed, as Resource Manager would ask for it: actions over the scope of its path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from arriero.catalog import permissions
from arriero.catalog.permissions import Wanted
from arriero.rehearse.azure.answers import Request
from arriero.rehearse.azure.log import named
from arriero.rehearse.permissions import Need


def needs_of(request: Request, scope: str = "") -> tuple[Need, ...]:
    """All must be allowed, over the request's path if not over another `scope`. What no table knows needs an action of
    the request's own name.
    """
    scope = scope or request.path
    action, _ = named(request)
    wanted = _table().get(action.lower())
    if wanted is None:
        return (Need(action, scope, is_known=False),)
    return tuple(need for each in wanted for need in _needs(request, each, scope))


def secret_need(request: Request, secret: str) -> Need:
    """What a call to Key Vault needs, over that secret."""
    action, _ = named(request)
    wanted = _table().get(action.lower())
    return Need(wanted[0].action if wanted else action, secret, is_known=wanted is not None, is_data=True)


@cache
def _table() -> dict[str, tuple[Wanted, ...]]:
    """Resource Manager's names know no case."""
    return {call.lower(): wanted for call, wanted in permissions.calls("azure").needs.items()}


def _needs(request: Request, wanted: Wanted, scope: str) -> Iterator[Need]:
    """One over the scope, or one over each resource of its type that the body names in its field, also by keys."""
    if not wanted.given:
        yield Need(wanted.action, scope)
        return
    found = list(_values(request.document(), wanted.given.lower())) if request.is_readable else []
    if not wanted.of and any(found):
        yield Need(wanted.action, scope)
    for each in (name for value in found for name in _named(value)) if wanted.of else ():
        if f"/providers/{wanted.of}/".lower() in str(each).lower():
            yield Need(wanted.action, str(each))


def _named(value: object) -> Iterable[object]:
    return value if isinstance(value, dict) else (value,)


def _values(value: object, field: str) -> Iterator[object]:
    """What the fields of that name hold, wherever they are."""
    if isinstance(value, dict):
        yield from (inner for key, inner in value.items() if key.lower() == field)
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _values(inner, field)
