"""The share of a site in Azure that holds its models, and how container groups have them from it.

A share's mount on Container Instances is CIFS and root's. So an init container, as root, copies the models from it into
an empty folder of the group, which belongs to Ollama's own user then. The share stands in a resource group of its own:
the site's goes with `down`, and the models stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from arriero.cost import private_endpoint
from arriero.plan.model import SERVICE_TAG, SITE_TAG, Resource, SiteFacts, Value
from arriero.plan.wanted import sidecar, storage
from arriero.spec.model import ResolvedSite

GROUP_KIND, ACCOUNT_KIND = "azure.storage_group", "azure.storage_account"
SHARE_KIND, MODELS_KIND = "azure.file_share", "azure.stored_models"
SHARE = "models"
MARK = "arrieromodels"  # metadata's names are identifiers
QUOTA_GIB = 1024  # a limit: a standard share is billed by what is in it
SHELF_VOLUME, STORAGE_VOLUME = "shelf", "storage"
# Stands for the account's key, which no plan holds; the role puts it in.
KEY = "@STORAGE_KEY@"


def group_name(base: str) -> str:
    """The storage's own resource group; no site's group has a dot in its name."""
    return f"{base}.files"


def account_name(subscription: str, base: str) -> str:
    """All accounts of Azure share one space of names: so it is made from the subscription, too."""
    return f"arriero{hashlib.sha256(f'{subscription}/{base}'.encode()).hexdigest()[:16]}"


def wanted(site: ResolvedSite, found: SiteFacts, base: str) -> tuple[Resource, ...]:
    """The storage and what is in it. One that nobody asks for any more is kept as it is: data is removed by who says
    so.
    """
    if not storage.is_used(site):
        kinds = (GROUP_KIND, ACCOUNT_KIND, SHARE_KIND, MODELS_KIND)
        return tuple(resource for resource in found.resources if resource.kind in kinds)
    tags = {SERVICE_TAG: site.service, SITE_TAG: site.name}
    account: dict[str, Value] = {
        "location": site.region,
        "is_private": True,
        "tls": "TLS1_2",
        "public_access": not private_endpoint.leads_to_storage(site),
    }
    return (
        Resource(GROUP_KIND, group_name(base), {"location": site.region}, tags=tags),
        Resource(ACCOUNT_KIND, account_name(found.account, base), account, tags=tags),
        Resource(SHARE_KIND, SHARE, {"quota_gib": QUOTA_GIB}),
        Resource(MODELS_KIND, base, {"models": storage.mark(storage.stored(site))}),
    )


def notes(site: ResolvedSite, module: str) -> list[str]:
    if not storage.is_used(site):
        return []
    names = ", ".join(model.name for model in storage.stored(site))
    return [
        f"{names}: copied from Azure Files by an init container at each start, which azure_rm_containerinstance can't "
        f"express: the groups are made by {module}; what the copying takes says `arriero image plan`"
    ]


def mounts(site: ResolvedSite) -> Mapping[str, Value]:
    """What of Ollama's container is said only where models come from storage."""
    return {"mounts": {SHELF_VOLUME: storage.SHELF}} if storage.is_used(site) else {}


def around(site: ResolvedSite) -> Mapping[str, Value]:
    """What of a group is said only where models come from storage: its init container and its volumes."""
    if not storage.is_used(site):
        return {}
    laying: Mapping[str, Value] = {
        "image": site.image,
        "command": storage.LAY_COMMAND,
        "environment": dict(sorted(storage.lay_environment(site, copies=True, owner=storage.USER).items())),
        "mounts": {SHELF_VOLUME: storage.SHELF, STORAGE_VOLUME: storage.STORAGE},
        "user": 0,
    }
    volumes = {SHELF_VOLUME: "empty", STORAGE_VOLUME: f"share {SHARE}, read only"}
    return {"init": {storage.LAYING: laying}, "volumes": volumes}


def seeding(site: ResolvedSite) -> Mapping[str, Mapping[str, Value]]:
    """The containers of the job that puts models there: an Ollama that writes into the share, and who tells it to."""
    server = {**sidecar.server_environment(site), **storage.WRITING}
    half, memory = round(float(site.size.cpu) / 2, 2), round(site.size.memory.in_gib / 2, 1)
    common: Mapping[str, Value] = {"image": site.image, "cpu": half, "memory_gb": memory, "ports": (), "user": 0}
    return {
        "ollama": {
            **common,
            "command": sidecar.SERVER_COMMAND,
            "environment": dict(sorted(server.items())),
            "mounts": {STORAGE_VOLUME: storage.STORAGE},
        },
        storage.SEEDING: {
            **common,
            "command": storage.SEED_COMMAND,
            "environment": storage.seed_environment(site, sidecar.OLLAMA_ADDRESS),
            "mounts": {},
        },
    }


def cleaning(site: ResolvedSite, environment: Mapping[str, str]) -> Mapping[str, Mapping[str, Value]]:
    """The container of the job that takes models out of the share."""
    job: Mapping[str, Value] = {
        **seeding(site)[storage.SEEDING],
        "command": storage.CLEAN_COMMAND,
        "environment": dict(environment),
        "mounts": {STORAGE_VOLUME: storage.STORAGE},
    }
    return {storage.CLEANING: job}
