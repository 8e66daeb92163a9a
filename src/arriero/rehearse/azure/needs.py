"""What a request has to be allowed, as Resource Manager would ask for it: actions over the scope of its path."""

from __future__ import annotations

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
    return tuple(Need(each.action, scope) for each in wanted if not each.given or _holds(request, each.given))


def secret_need(request: Request, secret: str) -> Need:
    """What a call to Key Vault needs, over that secret."""
    action, _ = named(request)
    wanted = _table().get(action.lower())
    return Need(wanted[0].action if wanted else action, secret, is_known=wanted is not None, is_data=True)


@cache
def _table() -> dict[str, tuple[Wanted, ...]]:
    """Resource Manager's names know no case."""
    return {call.lower(): wanted for call, wanted in permissions.calls("azure").needs.items()}


def _holds(request: Request, field: str) -> bool:
    """Whether the body has such a field somewhere, with something in it."""
    return request.is_readable and _has(request.document(), field.lower())


def _has(value: object, field: str) -> bool:
    if isinstance(value, dict):
        return any((key.lower() == field and bool(inner)) or _has(inner, field) for key, inner in value.items())
    return isinstance(value, list) and any(_has(inner, field) for inner in value)
