"""The models that are there: those the environment names, and those pulled, copied or created since.

What was added survives a restart (`engine.json` in OLLAMA_MODELS), and what was pulled can be copied as Ollama's files
can; blobs are real files. Sizes and shapes are stand-ins
that follow from the name; a profile can set them.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from arriero.rehearse.engine.names import Name, parse

TEMPLATE = "{{ if .System }}<|system|>{{ .System }}\n{{ end }}<|user|>{{ .Prompt }}\n<|assistant|>{{ .Response }}"
_BILLIONS = re.compile(r"(\d+(?:\.\d+)?)b\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Model:
    """`weights` is the digest of the model file, `digest` that of the manifest; sizes in bytes."""

    name: str
    weights: str
    digest: str
    size: int
    modified_at: float
    parameter_size: str
    system: str = ""
    template: str = TEMPLATE
    parameters: Mapping[str, Any] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ("completion",)
    quantization_level: str = "Q4_0"
    family: str = "llama"
    context_length: int = 4096
    embedding_length: int = 256
    loaded_bytes: int = 0
    size_vram: int = 0

    @property
    def details(self) -> dict[str, Any]:
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization_level,
        }

    @property
    def memory_bytes(self) -> int:
        return self.loaded_bytes or round(self.size * 1.15)


class Store:
    def __init__(self, folder: Path | None, profiles: Mapping[str, Mapping[str, Any]]) -> None:
        self._folder = folder
        self._profiles = {parse(name).full: dict(values) for name, values in profiles.items()}
        self._models: dict[str, Model] = {}
        self._load()

    def find(self, name: str) -> Model | None:
        return self._models.get(parse(name).full.lower())

    def newest_first(self) -> list[Model]:
        return sorted(self._models.values(), key=lambda model: -model.modified_at)

    def add(self, names: Iterable[str]) -> None:
        """Names the environment gives: there as if pulled, the first one newest."""
        now = time.time()
        for place, text in enumerate(names):
            if self.find(text) is None:
                self._keep(self._make(parse(text), now - place))
        self._save()

    def pull(self, name: Name) -> Model:
        model = self.find(name.full) or self._make(name, time.time())
        self._keep(model)
        self._write_files(name, model)
        self._save()
        return model

    def copy(self, source: Model, destination: Name) -> None:
        copied = replace(source, name=str(destination), modified_at=time.time())
        self._keep(copied)
        self._write_files(destination, copied)
        self._save()

    def create(self, name: Name, base: Model, changes: Mapping[str, Any]) -> Model:
        digest = _digest(name.full, base.weights, json.dumps(changes, sort_keys=True, default=str))
        model = replace(base, **changes, name=str(name), digest=digest, modified_at=time.time())
        self._keep(model)
        self._save()
        return model

    def delete(self, model: Model) -> None:
        name = parse(model.name)
        del self._models[name.full.lower()]
        if self._folder is not None:
            (self._folder / _place(name)).unlink(missing_ok=True)
        self._save()

    def has_blob(self, digest: str) -> bool:
        return self._folder is not None and self._blob(digest).exists()

    def put_blob(self, digest: str, content: bytes) -> None:
        if self._folder is not None:
            self._blob(digest).parent.mkdir(parents=True, exist_ok=True)
            self._blob(digest).write_bytes(content)

    def from_blob(self, name: Name, digest: str) -> Model:
        return replace(self._make(name, time.time()), weights=digest.removeprefix("sha256:"))

    def _make(self, name: Name, modified_at: float) -> Model:
        found = _BILLIONS.search(f"{name.model}-{name.tag}")
        billions = float(found[1]) if found else 7.0
        model = Model(
            name=str(name),
            weights=_digest("weights", name.full),
            digest=_digest("manifest", name.full),
            size=round(billions * 0.56e9),
            modified_at=modified_at,
            parameter_size=f"{billions:g}B",
            capabilities=("embedding",) if "embed" in name.model else ("completion",),
        )
        return replace(model, **self._profiles.get(name.full, {}))

    def _keep(self, model: Model) -> None:
        self._models[parse(model.name).full.lower()] = model

    def _blob(self, digest: str) -> Path:
        assert self._folder is not None
        return self._folder / "blobs" / digest.replace(":", "-")

    def _write_files(self, name: Name, model: Model) -> None:
        """What a pull leaves in Ollama's folder, so that whoever copies files finds them; weights are a stand-in."""
        if self._folder is None:
            return
        weights = "\n".join(("weights", name.full)).encode()
        config = json.dumps(asdict(model)).encode()
        layer = {"mediaType": "application/vnd.ollama.image.model", **_named(weights)}
        manifest = {"schemaVersion": 2, "config": _named(config), "layers": [layer]}
        for content in (weights, config):
            self.put_blob(str(_named(content)["digest"]), content)
        place = self._folder / _place(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(manifest))

    def _load(self) -> None:
        self._load_files()
        if self._folder is not None and (self._folder / "engine.json").exists():
            for values in json.loads((self._folder / "engine.json").read_text()):
                if values.pop("has_files", False) and not (self._folder / _place(parse(values["name"]))).exists():
                    continue  # somebody took its manifest away, and Ollama knows models by that
                self._keep(Model(**{**values, "capabilities": tuple(values["capabilities"])}))

    def _load_files(self) -> None:
        """Models whose files somebody else put there."""
        manifests = self._folder.glob("manifests/*/*/*/*") if self._folder else ()
        for manifest in manifests:
            config = self._blob(json.loads(manifest.read_text())["config"]["digest"])
            values = json.loads(config.read_text())
            self._keep(Model(**{**values, "capabilities": tuple(values["capabilities"])}))

    def _save(self) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            models = [{**asdict(model), "has_files": self._has_files(model)} for model in self._models.values()]
            (self._folder / "engine.json").write_text(json.dumps(models))

    def _has_files(self, model: Model) -> bool:
        return self._folder is not None and (self._folder / _place(parse(model.name))).exists()


def _place(name: Name) -> Path:
    return Path("manifests", name.host, name.namespace, name.model, name.tag)


def _named(content: bytes) -> dict[str, str | int]:
    return {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
