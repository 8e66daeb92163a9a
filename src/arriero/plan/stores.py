"""Where the ledger is kept: which clouds hold a store of it, which one decides, and what a store should be like.

One bucket or storage account a service and cloud, apart from all sites, so that none of them takes it along when it
goes. Both clouds take such names once for all accounts: so they are made from the account, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from arriero.plan.compare import compare
from arriero.plan.model import SERVICE_TAG, Cloud, Resource, StoreFacts, StorePlan, Value
from arriero.spec.model import Spec

IMMUTABLE: Mapping[str, tuple[str, ...]] = {}


def clouds(spec: Spec) -> tuple[Cloud, ...]:
    """The clouds with a store of the ledger, the authority first; `local` only where no cloud has a site.

    The authority is the spec's, else that of the first active site that is in a cloud.
    """
    names = sorted(spec.sites, key=lambda name: spec.sites[name].role == "standby")
    used: list[Cloud] = [site.cloud for name in names if (site := spec.sites[name]).cloud != "local"]
    chosen = [spec.ledger.authority] if spec.ledger.authority in used else []
    return tuple(dict.fromkeys([*chosen, *used])) or ("local",)


def name(cloud: Cloud, service: str, account: str) -> str:
    """The bucket's or storage account's name."""
    if cloud == "azure":
        return f"arriero{hashlib.sha256(f'{account}/{service}'.encode()).hexdigest()[:16]}"
    return f"arriero-{service}-{account}" if cloud == "aws" else service


def region(spec: Spec, cloud: Cloud) -> str:
    """Where a store is made: in the region of the cloud's first site."""
    return next((site.region for site in spec.sites.values() if site.cloud == cloud), "")


def group_name(service: str) -> str:
    """The store's own resource group at Azure; no site's group has a dot in its name."""
    return f"{service}.ledger"


def wanted(cloud: Cloud, service: str, name: str, region: str) -> tuple[Resource, ...]:
    """What a store should be like: private, and (at AWS) with the versions that were overwritten kept."""
    tags: dict[str, str] = {SERVICE_TAG: service}
    if cloud == "aws":
        properties: dict[str, Value] = {"location": region, "versioning": True, "is_private": True, "tags": dict(tags)}
        return (Resource("aws.bucket", name, properties, tags=tags),)
    if cloud == "azure":
        account: dict[str, Value] = {"location": region, "is_private": True, "tls": "TLS1_2", "tags": dict(tags)}
        return (
            Resource("azure.resource_group", group_name(service), {"location": region, "tags": dict(tags)}, tags=tags),
            Resource("azure.storage_account", name, account, tags=tags),
            Resource("azure.blob_container", "ledger", {}, tags=tags),
        )
    return ()


def plans(spec: Spec, found: Mapping[Cloud, StoreFacts]) -> tuple[StorePlan, ...]:
    """What each store needs; one that stands stays in its region, whatever the first site's is by now."""
    return tuple(_plan(spec.name, store) for store in found.values() if store.cloud != "local")


def _plan(service: str, store: StoreFacts) -> StorePlan:
    plan = StorePlan(store.cloud, store.name, store.region, problem=store.problem)
    if store.problem:
        return plan
    wish = wanted(store.cloud, service, store.name, store.region)
    return replace(plan, changes=compare("ledger", wish, store.resources, IMMUTABLE))
