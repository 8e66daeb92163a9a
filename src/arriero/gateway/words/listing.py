"""What the pool holds, in the words of one Ollama server: the merged answers of tags, ps, models, version. Pure.

`only` are the canonical names that the asker may know of; empty for all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from arriero.gateway.routing.target import Target

Models = list[Mapping[str, Any]]


def tags(targets: Iterable[Target], only: Collection[str] = ()) -> dict[str, Models]:
    """`/api/tags`: every model once, the latest first, as the first target that has it describes it."""
    merged: dict[str, Mapping[str, Any]] = {}
    for target in _answering(targets):
        found = _allowed(target.inventory.on_disk, only)
        merged |= {name: model for name, model in found.items() if name not in merged}
    # By whole seconds and stable, as Ollama does it.
    return {"models": sorted(merged.values(), key=lambda model: str(model.get("modified_at", ""))[:19], reverse=True)}


def ps(targets: Iterable[Target], only: Collection[str] = ()) -> dict[str, Models]:
    """`/api/ps`: every model in memory once, with the expiry of the copy that stays longest."""
    merged: dict[str, Mapping[str, Any]] = {}
    for target in _answering(targets):
        for name, model in _allowed(target.inventory.resident, only).items():
            if name not in merged or str(model.get("expires_at", "")) > str(merged[name].get("expires_at", "")):
                merged[name] = model
    return {"models": list(merged.values())}


def openai_models(targets: Iterable[Target], only: Collection[str] = ()) -> dict[str, Any]:
    """`/v1/models`, derived from tags as Ollama does it."""
    return {"object": "list", "data": [_openai_model(model) for model in tags(targets, only)["models"]]}


def version(targets: Iterable[Target]) -> str:
    """The oldest version in the pool, since clients decide by it what they may ask for; empty when none answers."""
    versions = [target.inventory.version for target in _answering(targets) if target.inventory.version]
    return min(versions, key=_sortable, default="")


def _answering(targets: Iterable[Target]) -> list[Target]:
    return sorted((target for target in targets if target.can_take), key=lambda target: target.entry.role)


def _allowed(models: Mapping[str, Mapping[str, Any]], only: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
    return {name: model for name, model in models.items() if name in only} if only else models


def _openai_model(model: Mapping[str, Any]) -> dict[str, Any]:
    owner = ["library", *str(model["name"]).split("/")[:-1]][-1]
    return {"id": model["name"], "object": "model", "created": _seconds(model.get("modified_at")), "owned_by": owner}


def _seconds(text: Any) -> int:
    try:
        return int(datetime.fromisoformat(str(text)[:19] + "+00:00").timestamp())
    except ValueError:
        return 0


def _sortable(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in text.partition("-")[0].split("."))
