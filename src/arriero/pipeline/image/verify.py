"""`arriero image verify`: that the registries have what was pushed, and the image the models that its label names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem
from arriero.pipeline.image import record
from arriero.pipeline.image.build import MODELS_LABEL, record_of
from arriero.pipeline.image.engine import Engine
from arriero.pipeline.image.push import pushed_of, repositories
from arriero.pipeline.image.recipe import recipe
from arriero.pipeline.image.registry import Repository
from arriero.pipeline.image.tags import STABLE
from arriero.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `fault` is empty when it is as it should be."""

    name: str
    found: str
    fault: str = ""

    def __str__(self) -> str:
        return f"{'✗' if self.fault else '✓'} {self.name}: {self.fault or self.found}"

    def as_json(self) -> dict[str, str | bool]:
        return {"name": self.name, "good": not self.fault, "found": self.fault or self.found}


def verify(project: Project, spec: Spec, digest: str = "") -> list[Check]:
    """With a digest: that all registries have it. Without: what was built and pushed here last, too."""
    pushed = record.read_pushed(pushed_of(project))
    if digest:
        return [_has(Repository.of(name), digest) for name in repositories(spec)]
    checks = list(_contents(project, spec))
    if pushed is None:
        raise ArrieroError(Problem("nothing was pushed from here yet", "push it: arriero image push", "image verify"))
    for name in pushed.repositories:
        place = Repository.of(name)
        checks.append(_has(place, pushed.digest))
        # `stable` moves on with the next release; the other names stay.
        checks += [_named(place, tag, pushed.digest) for tag in pushed.tags if not tag.endswith(STABLE)]
    return checks


def _has(place: Repository, digest: str) -> Check:
    found = place.find(digest)
    return Check(str(place), f"has {digest}", "" if found else f"does not have {digest}")


def _named(place: Repository, tag: str, digest: str) -> Check:
    found = place.find(tag)
    is_right = found is not None and found.digest == digest
    return Check(f"{place}:{tag}", digest, "" if is_right else f"is {found.digest if found else 'not there'}")


def _contents(project: Project, spec: Spec) -> Iterator[Check]:
    """Every file of every model against its name, and each manifest against the image's label."""
    built, engine = record.read_built(record_of(project)), Engine.found()
    labels = json.loads(engine.look(built.id).labels.get(MODELS_LABEL, "{}"))
    files = engine.digests(built.id, "/models")
    for each in recipe(spec).models:
        digest, wanted = files.get(f"manifests/{each.place.path}", "not there"), labels.get(each.name, "not named")
        yield Check(each.name, digest, "" if digest == wanted else f"is {digest}, and its label says {wanted}")
    blobs = {name.rpartition("/")[2]: digest for name, digest in files.items() if name.startswith("blobs/")}
    wrong = [name for name, digest in blobs.items() if name != digest.replace(":", "-")]
    yield Check("files of models", f"all {len(blobs)} as named", f"damaged: {', '.join(wrong)}" if wrong else "")
