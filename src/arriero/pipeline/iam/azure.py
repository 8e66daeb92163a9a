"""A custom role for Azure: the actions that the calls need, in one subscription. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arriero.catalog import permissions
from arriero.plan import purging
from arriero.spec.model import Spec


def role(spec: Spec) -> Mapping[str, Any]:
    """As `az role definition create` takes it. No data action: blobs are read and written with the account's key."""
    known = permissions.calls("azure")
    sites = [spec.site(name) for name, site in spec.sites.items() if site.cloud == "azure"]
    scales = any(site.scale_by == "cloud" for site in sites)
    rests = any(site.scale_by == "load" and site.min == 0 for site in sites)
    more = {"alerts": scales, "rest": rests, "registry": purging.place(spec) is not None}
    parts = ("site", "ledger", *(part for part, is_asked in more.items() if is_asked))
    actions = sorted({wanted.action for part in parts for wanted in known.of_part(part)}, key=str.lower)
    return {
        "Name": f"arriero deployer of {spec.name}",
        "IsCustom": True,
        "Description": f"Deploys and removes the service {spec.name}. Made by `arriero export iam`.",
        "Actions": actions,
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        # The sites' resource groups are made and removed, so the role is given where they are: in the subscription.
        "AssignableScopes": [f"/subscriptions/{spec.accounts.azure}"],
    }
