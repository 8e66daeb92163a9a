"""The identity with which targets at Azure pull their image: a user-assigned one, of the user's making. Pure.

A registry of Azure gives a token to an identity that has the role AcrPull there, so no login is kept anywhere. It is
the container group's, or the app's, own: what runs in it can have tokens of it, too, so it should have no other role.
https://learn.microsoft.com/azure/container-instances/using-azure-container-registry-mi,
https://learn.microsoft.com/azure/container-apps/managed-identity-image-pull (read 2026-11-30).
"""

from __future__ import annotations

from collections.abc import Mapping

from arriero.plan.model import Value
from arriero.spec.image import registry_of
from arriero.spec.model import ResolvedSite


def around(site: ResolvedSite) -> Mapping[str, Value]:
    """What of a group or an app is said only where its image is pulled with an identity. Azure's ids know no case."""
    if site.registry_identity is None:
        return {}
    identity = site.registry_identity.lower()
    return {"identities": (identity,), "registries": {registry_of(site.image): identity}}
