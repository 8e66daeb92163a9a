"""Custom roles for Azure: what the calls need, in one subscription, who may read which secrets, and who may give
identities. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arriero.catalog import permissions
from arriero.cost import private_endpoint
from arriero.plan import purging, registries
from arriero.plan.wanted import azure_secrets, storage
from arriero.spec import secret_values
from arriero.spec.gpu import is_virtual
from arriero.spec.model import ResolvedSite, Spec

# What private endpoints lead to; who makes one approves it there.
_ACCOUNTS, _VAULTS = "Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"
_REGISTRIES = "Microsoft.ContainerRegistry/registries"
# What edges read their keys with, and targets are pulled with; who gives it to them has a role of its own.
_IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"


def role(spec: Spec) -> Mapping[str, Any]:
    """As `az role definition create` takes it. No data action: blobs are read and written with the account's key."""
    known = permissions.calls("azure")
    sites = [spec.site(name) for name, site in spec.sites.items() if site.cloud == "azure"]
    approved = {
        _ACCOUNTS: any(private_endpoint.leads_to_storage(site) for site in sites),
        _VAULTS: any(private_endpoint.vaults(site) for site in sites),
        _REGISTRIES: any(private_endpoint.registry(site) for site in sites),
        _IDENTITIES: False,
    }
    wanted = (each for part in _parts(spec, sites) for each in known.of_part(part) if approved.get(each.of, True))
    actions = sorted({each.action for each in wanted}, key=str.lower)
    # The sites' resource groups are made and removed, so the role is given where they are: in the subscription.
    return _role(spec, "deployer", f"Deploys and removes the service {spec.name}.", actions=actions)


def _parts(spec: Spec, sites: Sequence[ResolvedSite]) -> Sequence[str]:
    door = spec.ingress.front_door
    more = {
        "door": door is not None,
        "names": door is not None and bool(door.hosts),
        "waf": door is not None and door.web_application_firewall is not None,
        "apps": any(site.gpu and not is_virtual(site.gpu) for site in sites),
        "virtual": any(is_virtual(site.gpu) for site in sites),
        "edges": any(site.azure_edges for site in sites),
        "alerts": any(site.scale_by == "cloud" for site in sites),
        "rest": any(site.scale_by == "load" and site.min == 0 for site in sites),
        "spares": any(site.spares for site in sites),
        "registry": purging.place(spec) is not None,
        "replication": bool(registries.abroad(spec)),
        "workspace": any(site.has_workspace for site in sites),
        "storage": any(storage.is_used(site) for site in sites),
        "private": any(private_endpoint.count(site) for site in sites),
        "vaults": any(private_endpoint.vaults(site) for site in sites),
    }
    always = ("site", "ledger") if sites else ()  # a Front Door alone has no store of the ledger
    return (*always, *(part for part, is_asked in more.items() if is_asked))


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


def identity_role(spec: Spec) -> Mapping[str, Any] | None:
    """Who may give edges and targets the identities that the spec names, a role of its own: given in the whole
    subscription it would let a deployer act as any identity there. None where the spec names none.
    """
    identities = _identities(spec)
    if not identities:
        return None
    needs = permissions.calls("azure").needs.values()
    actions = sorted({each.action for wanted in needs for each in wanted if each.of == _IDENTITIES}, key=str.lower)
    where = f"at {'the' if len(identities) == 1 else 'each'} identity: {', '.join(identities)}"
    made = _role(spec, "identity giver", f"Assign it {where}.", actions=actions)
    # A role is kept at a resource group or above, and may be given at what is in there.
    return {**made, "AssignableScopes": list(dict.fromkeys(each.partition("/providers/")[0] for each in identities))}


def _identities(spec: Spec) -> list[str]:
    """Each once: that of the edges, and those that sites pull with."""
    edges = [spec.ingress.edges.identity] if spec.ingress.edges else []
    pulling = [site.registry_identity for site in spec.sites.values() if site.cloud == "azure"]
    return list({each.lower(): each for each in [*edges, *pulling] if each}.values())


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
