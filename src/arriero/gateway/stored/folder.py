"""Ollama's folder of models, read: `manifests/<host>/<namespace>/<model>/<tag>` names files `blobs/sha256-<hex>`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from arriero.gateway.words.naming import place_of


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model as its manifest names it: `digest` is `sha256:<hex>`, `size` in bytes."""

    digest: str
    size: int

    @property
    def name(self) -> str:
        return self.digest.replace(":", "-")


def manifest_of(model: str) -> Path:
    """Where a model's manifest lies below `manifests/`: `llama2` -> registry.ollama.ai/library/llama2/latest."""
    return Path(place_of(model).path)


def files_of(manifest: bytes) -> tuple[File, ...]:
    """The files that a manifest names, each once. Raises ValueError where it is no manifest."""
    try:
        whole = json.loads(manifest)
        parts = [*whole["layers"], whole["config"]]
        files = [File(str(part["digest"]), int(part["size"])) for part in parts]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no manifest: {error!r}") from error
    if strange := [file.digest for file in files if not _is_digest(file.digest)]:
        raise ValueError(f"it names the file {strange[0]!r}, which is no digest")
    return tuple(dict.fromkeys(files))


def _is_digest(text: str) -> bool:
    """Nothing else may become a file's name."""
    kind, _, digits = text.partition(":")
    return kind == "sha256" and len(digits) == 64 and all(c in "0123456789abcdef" for c in digits)
