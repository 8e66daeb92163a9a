"""`arriero image build`: looks at what is needed, builds, reads the models' digests out of the image, and names it.

An image that is too large or holds another model than was asked for gets no name and no record.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from arriero.catalog import catalog
from arriero.clock import Clock
from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem
from arriero.pipeline.image import record, sources
from arriero.pipeline.image.engine import Built, Engine
from arriero.pipeline.image.files import build_arguments, models_label
from arriero.pipeline.image.recipe import LABELS, Recipe, recipe
from arriero.pipeline.image.revision import Revision
from arriero.plan.registries import PREFIXES
from arriero.spec.model import Spec

MODELS_LABEL = f"{LABELS}.models"
VARIANT_LABEL = f"{LABELS}.variant"
_LAYERS_AFTER_MODELS = 2  # Ollama's and the sidecar's


def folder_of(project: Project) -> Path:
    return project.state / "image"


def record_of(project: Project) -> Path:
    return folder_of(project) / "built.json"


def local_name(spec: Spec) -> str:
    """The engine's name for what was built here last of the spec's variant."""
    return f"arriero/{spec.name}:{PREFIXES[spec.image.variant]}built"


def other_variant(spec: Spec, image: Built) -> Problem | None:
    """Why what was built here last is not the image of this spec, whose names it would get."""
    built = image.labels.get(VARIANT_LABEL, spec.image.variant)
    if built == spec.image.variant:
        return None
    what = f"the variant {built} was built here last, and this spec has {spec.image.variant}"
    return Problem(what, "build it: arriero image build", "image.variant")


def image_at_hand(project: Project, spec: Spec) -> str:
    """What was built here last; where nothing was, the spec's own."""
    return local_name(spec) if record_of(project).exists() else spec.image.name


def models_of(project: Project) -> Mapping[str, str]:
    """The digests of the models in what was built here last; nothing where nothing was built."""
    return record.read_built(record_of(project)).models if record_of(project).exists() else {}


def build(
    project: Project, spec: Spec, revision: Revision, clock: Clock, *, network: str = "", fresh: bool = False
) -> record.Built:
    """Raises ArrieroError; then what was built before keeps its name."""
    start, wanted, engine = clock.monotonic(), recipe(spec), Engine.found()
    found = sources.look(spec, wanted, project.file)
    project.make_state()
    folder = folder_of(project) / "context"
    try:
        sources.write_context(wanted, folder, project.file)
        said = {"SOURCE": revision.source, "REVISION": revision.commit}
        said |= build_arguments(wanted, found.digests) | {"MODELS": models_label(found.digests)}
        image = engine.build(folder, said, network=network, fresh=fresh)
        models = _models(engine, image, wanted)
        if models_label(models) != said["MODELS"]:
            # What the user's own files became is known only now; all but the labels comes from the cache.
            image = engine.build(folder, said | {"MODELS": models_label(models)}, network=network)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    built = engine.look(image)
    if problem := too_large(spec, built.size):
        raise ArrieroError(problem)
    engine.name(image, local_name(spec))
    layers = _model_layers(built, wanted)
    made = record.Built(image, revision.tag, built.size, models, layers, round(clock.monotonic() - start, 1))
    record.write(record_of(project), made)
    return made


def too_large(spec: Spec, size: int) -> Problem | None:
    """Why an image of that many bytes must not be pushed."""
    if spec.image.limit and size > spec.image.limit:
        return Problem(f"the image has {gigabytes(size)}, more than {spec.image.limit}", _SMALLER, "image.limit")
    most = catalog.aci_limits().image_gib * 2**30
    if size > most and any(site.cloud == "azure" for site in spec.sites.values()):
        what = f"the image has {gigabytes(size)}, and Container Instances takes {most / 2**30:.0f} GiB at most"
        return Problem(what, _SMALLER, "image")
    return None


_SMALLER = "take a smaller model, or leave one out"


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _models(engine: Engine, image: str, wanted: Recipe) -> dict[str, str]:
    """The digest of each model that is in the image; raises ArrieroError if one is missing."""
    manifests = engine.digests(image, "/models/manifests")
    found = {each.name: manifests.get(each.place.path, "") for each in wanted.models}
    if missing := [name for name, digest in found.items() if not digest]:
        raise ArrieroError(Problem(f"{', '.join(missing)}: not in the image", "build with --no-cache", "image build"))
    return found


def _model_layers(built: Built, wanted: Recipe) -> Mapping[str, str]:
    end = len(built.layers) - _LAYERS_AFTER_MODELS
    layers = built.layers[end - len(wanted.models) : end]
    return {each.name: layer for each, layer in zip(wanted.models, layers, strict=True)}
