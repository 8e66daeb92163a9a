"""Models from a site's storage: what is mounted where, the container that lays them out, and the job that puts them
there.

A target's first container (`lay-models`) fills a folder that its Ollama reads: models of the image as links, those of
the storage as links on EFS and as copies on Azure Files, where only root can read them. So a model that is baked loads
from the image as ever, and one site can have both. What the storage holds is written at the storage itself, as a tag or
as metadata, once the job has ended well: so the plan sees what is missing there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from arriero.plan.cleaning import Cleaning
from arriero.spec.model import Model, ResolvedSite

LAYING, SEEDING, CLEANING = "models", "seed", "clean"
LAY_COMMAND = ("arriero", "gateway", "lay-models")
SEED_COMMAND = ("arriero", "gateway", "seed-models")
CLEAN_COMMAND = ("arriero", "gateway", "clean-models")
SEED_SECONDS = 4 * 3600  # a hundred gigabytes at ten megabytes a second take less
USER = 10001  # `ollama` in the image
STORAGE = "/storage"
SHELF = "/tmp/shelf"  # a container's root is read-only, and a target's containers share /tmp
# Of the server that the job has beside it. By itself it would remove at its start what no manifest names, parts of a
# pull among it, and where a tag was pulled anew the files that targets still read (PruneLayers in Ollama).
WRITING = {"OLLAMA_MODELS": STORAGE, "ARRIERO_MODELS": "", "OLLAMA_NOPRUNE": "1"}
MARK_TAG = "arriero-models"
# What `down` leaves where it is, without `--purge`.
KEPT_KINDS = frozenset(
    (
        "aws.file_system",
        "aws.stored_models",
        "azure.storage_group",
        "azure.storage_account",
        "azure.file_share",
        "azure.stored_models",
    )
)
CLEAN_STEP = "clean"
LONGEST_MARK = 256  # of a tag's value, at both clouds


def stored(site: ResolvedSite) -> tuple[Model, ...]:
    """The models that come from the site's storage; none at a site of this machine, whose storage is its disk."""
    return () if site.cloud == "local" else tuple(model for model in site.models if model.source == "storage")


def is_used(site: ResolvedSite) -> bool:
    return bool(stored(site))


def mark(models: Sequence[Model]) -> str:
    """What is written at the storage when it has these models; a hash where the names are too long for a tag."""
    text = " ".join(sorted(_mark_of(model) for model in models))
    return text if len(text) <= LONGEST_MARK else hashlib.sha256(text.encode()).hexdigest()


def lay_environment(site: ResolvedSite, *, copies: bool, owner: int | None = None) -> dict[str, str]:
    """What `lay-models` reads."""
    return {
        "ARRIERO_STORAGE": STORAGE,
        "ARRIERO_SHELF": SHELF,
        "ARRIERO_STORED_MODELS": ",".join(model.name for model in stored(site)),
        "ARRIERO_LAY": "copy" if copies else "link",
        **({} if owner is None else {"ARRIERO_OWNER": str(owner)}),
    }


def seed_environment(site: ResolvedSite, ollama: str) -> dict[str, str]:
    """What `seed-models` reads; `ollama` is the address of the server that writes into the storage."""
    seeds = [
        {
            "name": model.name,
            "pull": model.pull or model.name,
            "digest": model.digest or "",
            "insecure": model.insecure,
        }
        for model in stored(site)
    ]
    return {"ARRIERO_OLLAMA_ADDRESS": ollama, "ARRIERO_SEEDS": json.dumps(seeds, separators=(",", ":"))}


def clean_environment(cleaning: Cleaning, *, is_listing: bool) -> dict[str, str]:
    """What `clean-models` reads."""
    told = {"gone": sorted(cleaning.gone), "kept": sorted(cleaning.kept), "list": is_listing}
    return {"ARRIERO_STORAGE": STORAGE, "ARRIERO_CLEANING": json.dumps(told, separators=(",", ":"))}


def server_environment(site: ResolvedSite) -> dict[str, str]:
    """Where Ollama finds all models, and which of them its image has."""
    if not is_used(site):
        return {}
    baked = [model.name for model in site.models if model.source == "baked"]
    return {"OLLAMA_MODELS": SHELF, "ARRIERO_MODELS": ",".join(baked)}


def _mark_of(model: Model) -> str:
    """`llama2:70b`, `=<where from>` if that is another name, `@<its digest>` if one is pinned."""
    source = f"={model.pull}" if model.pull and model.pull != model.name else ""
    digest = f"@{model.digest.removeprefix('sha256:')[:12]}" if model.digest else ""
    return f"{model.name}{source}{digest}"
