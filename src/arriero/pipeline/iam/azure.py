"""Custom roles for Azure: what the calls need, in one subscription, and who may read which secrets. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arriero.catalog import permissions
from arriero.plan import purging, registries
from arriero.plan.wanted import azure_secrets
from arriero.spec import secret_values
from arriero.spec.model import Spec


def role(spec: Spec) -> Mapping[str, Any]:
    """As `az role definition create` takes it. No data action: blobs are read and written with the account's key."""
    known = permissions.calls("azure")
    sites = [spec.site(name) for name, site in spec.sites.items() if site.cloud == "azure"]
    more = {
        "alerts": any(site.scale_by == "cloud" for site in sites),
        "rest": any(site.scale_by == "load" and site.min == 0 for site in sites),
        "spares": any(site.spares for site in sites),
        "registry": purging.place(spec) is not None,
        "replication": bool(registries.abroad(spec)),
        "workspace": any(site.has_workspace for site in sites),
    }
    parts = ("site", "ledger", *(part for part, is_asked in more.items() if is_asked))
    actions = sorted({wanted.action for part in parts for wanted in known.of_part(part)}, key=str.lower)
    # The sites' resource groups are made and removed, so the role is given where they are: in the subscription.
    return _role(spec, "deployer", f"Deploys and removes the service {spec.name}.", actions=actions)


def secrets_role(spec: Spec) -> Mapping[str, Any] | None:
    """Who may read the secrets that the spec names, a role of its own: it is given at each of them, and nowhere else.
    None where none is named.
    """
    named = sorted(
        {
            f"{secret_values.name_of(reference)} in {secret_values.vault_of(reference)}"
            for name, site in spec.sites.items()
            if site.cloud == "azure"
            for reference in azure_secrets.references(spec.site(name))
        }
    )
    if not named:
        return None
    data = sorted({wanted.action for wanted in permissions.calls("azure").of_part("secrets")}, key=str.lower)
    return _role(spec, "reader of secrets", f"Assign it at each secret: {', '.join(named)}.", data=data)


def _role(
    spec: Spec, what: str, description: str, actions: Sequence[str] = (), data: Sequence[str] = ()
) -> Mapping[str, Any]:
    return {
        "Name": f"arriero {what} of {spec.name}",
        "IsCustom": True,
        "Description": f"{description} Made by `arriero export iam`.",
        "Actions": list(actions),
        "NotActions": [],
        "DataActions": list(data),
        "NotDataActions": [],
        "AssignableScopes": [f"/subscriptions/{spec.accounts.azure}"],
    }
