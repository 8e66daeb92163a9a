"""`arriero image plan`: what would be built, learnt from registries and files without building anything.

What can't be learnt, because a registry does not answer, is unknown in the plan and no error: a plan changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from arriero.deploy.project import Project
from arriero.errors import ArrieroError
from arriero.gateway.words.naming import place_of
from arriero.pipeline.image import record
from arriero.pipeline.image.build import record_of
from arriero.pipeline.image.forecast import Row, Sizes, forecast
from arriero.pipeline.image.push import repositories
from arriero.pipeline.image.recipe import Baked, Recipe, recipe
from arriero.pipeline.image.registry import Manifest, Repository
from arriero.pipeline.image.wheel import wheel
from arriero.spec.image import digest_of, repository_of
from arriero.spec.model import Model, Spec

# The sidecar's packages, unpacked, besides arriero: measured with Python 3.11 on x86-64.
SIDECAR_BYTES = 45_000_000


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model, what it is made from, and the bytes and digest of that, as far as they are known."""

    name: str
    way: str
    source: str
    size: int | None
    digest: str


@dataclass(frozen=True, slots=True)
class ImagePlan:
    models: tuple[ModelRow, ...]
    programs: int | None
    rows: tuple[Row, ...]
    repositories: tuple[str, ...]
    notes: tuple[str, ...]


def plan(project: Project, spec: Spec) -> ImagePlan:
    notes: list[str] = []
    if spec.image.variant == "cuda" and not any(site.gpu for site in spec.sites.values()):
        notes.append("variant cuda: neither Fargate nor Container Instances has GPUs; it is for machines that have")
    wanted = recipe(spec)
    numbers = {each.name: each for each in wanted.models}
    models = tuple(_model(project, model, numbers.get(model.name), notes) for model in spec.models)
    programs = _programs(project, wanted, models, notes)
    sizes = Sizes(programs, {row.name: row.size for row in models})
    return ImagePlan(models, programs, tuple(forecast(spec, sizes)), repositories(spec), tuple(notes))


def _model(project: Project, model: Model, each: Baked | None, notes: list[str]) -> ModelRow:
    way = "baked" if each else "storage"
    if model.gguf:
        return ModelRow(model.name, way, model.gguf, _bytes_of(project.file(model.gguf)), "")
    if model.modelfile:
        return ModelRow(model.name, way, model.modelfile, None, "")
    place = place_of(model.pull or model.name)
    found = _asked(lambda: Repository.of_model(place, model.insecure).find(place.tag), notes)
    if found is None:
        return ModelRow(model.name, way, place.host, None, model.digest or "")
    if model.digest and model.digest != found.digest:
        notes.append(f"{model.name} is {found.digest} at {place.host} now, not {model.digest}")
    return ModelRow(model.name, way, place.host, found.size, found.digest)


def _programs(project: Project, wanted: Recipe, models: tuple[ModelRow, ...], notes: list[str]) -> int | None:
    """The image without its models: as it was built here last, or added up from what it is built from."""
    try:
        built = record.read_built(record_of(project))
        inside = [row.size for row in models if row.name in built.models]
        if None not in inside:
            return built.size - sum(size or 0 for size in inside)
    except ArrieroError:
        pass
    image = wanted.image
    parts = [_image_bytes(image.base, notes), SIDECAR_BYTES + len(wheel())]
    own = _bytes_of(project.file(image.ollama_file)) if image.ollama_file else _image_bytes(image.ollama, notes)
    known = [part for part in (*parts, own) if part is not None]
    return sum(known) if len(known) == len(parts) + 1 else None


def _image_bytes(name: str, notes: list[str]) -> int | None:
    place = Repository.of(repository_of(name))
    found = _asked(lambda: place.find(digest_of(name)), notes)
    listed = json.loads(found.text).get("manifests") if found else None
    if listed:
        mine = [one for one in listed if one.get("platform", {}).get("architecture") == "amd64"]
        found = _asked(lambda: place.find(mine[0]["digest"]), notes) if mine else None
    return found.size if found else None


def _asked(ask: Callable[[], Manifest | None], notes: list[str]) -> Manifest | None:
    try:
        return ask()
    except ArrieroError as error:
        notes += [f"{problem.key}: {problem.what}" for problem in error.problems if problem.what not in notes]
        return None


def _bytes_of(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
