"""Identities that container groups and apps are given: each has to be there, and is told with its ids. What it may do
is not judged. The code of one that is not there is Azure's, the other is ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from arriero.rehearse.azure.answers import ArmError, Document
from arriero.rehearse.azure.world import World


def of(body: Document) -> set[str]:
    """Their keys."""
    return {each.lower() for each in (body.get("identity") or {}).get("userAssignedIdentities") or {}}


def check(world: World, thing: str, body: Document, registries: Iterable[Document] | None) -> None:
    """Raises for an identity that is not there, and for a registry that is to be asked with one that is not its own."""
    own = of(body)
    for each in sorted(own):
        if world.find(each) is None:
            raise ArmError(400, "FailedIdentityOperation", f"The identity '{each}' of the {thing} was not found.")
    for registry in registries or ():
        asked = str(registry.get("identity") or "").lower()
        if asked.startswith("/") and asked not in own:
            message = f"The {thing} is to pull from '{registry['server']}' with an identity that it has not: '{asked}'."
            raise ArmError(400, "InvalidImageRegistryIdentity", message)


def fill_in(world: World, body: Document) -> None:
    """What is told of each: who it is."""
    given = (body.get("identity") or {}).get("userAssignedIdentities") or {}
    for path in given:
        about = (world.find(path.lower()) or {"properties": {}})["properties"]
        given[path] = {name: about[name] for name in ("principalId", "clientId") if name in about}
