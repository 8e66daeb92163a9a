"""`arriero image push`: one image to all its registries, and its names there only when it is everywhere.

In this order: every registry is asked whether it takes a push and whether a fixed tag is taken; the image goes to each
under its commit's tag; all must have one digest; then the release's tags are given, and `stable` last. If giving a name
fails, `stable` is put back where it moved already, and the error says which names were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem, Refused
from arriero.pipeline.image import record
from arriero.pipeline.image import tags as names
from arriero.pipeline.image.build import folder_of, other_variant, record_of, too_large
from arriero.pipeline.image.engine import Engine
from arriero.pipeline.image.registry import Manifest, Repository
from arriero.spec.image import Variant, repository_of
from arriero.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Asked:
    """`commit` is the first tag, `git-<sha>`; `stable` gives the next `stable-v<n>` and moves `stable`."""

    commit: str
    release: int | None = None
    stable: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """`notes`: what a registry would not do, and need not."""

    pushed: record.Pushed
    notes: tuple[str, ...]


def repositories(spec: Spec) -> tuple[str, ...]:
    """Where the sites' clouds pull from; where none is in a cloud, the image's own name."""
    clouds = sorted({site.cloud for site in spec.sites.values()} - {"local"})
    return tuple(dict.fromkeys(name for cloud in clouds or ["local"] for name in _of(spec, cloud)))


def _of(spec: Spec, cloud: str) -> list[str]:
    """Copies first: what a registry gets it copies by itself, and that would race with a push of ours."""
    first = repository_of(spec.image.at(cloud))
    regions = {site.region for site in spec.sites.values() if site.cloud == cloud}
    return [*sorted({repository_of(spec.image.at(cloud, region)) for region in regions} - {first}), first]


def push(project: Project, spec: Spec, asked: Asked) -> Outcome:
    """Raises ArrieroError; nothing has a release's name then that does not have it everywhere, unless it says so."""
    built, engine = record.read_built(record_of(project)), Engine.found()
    image = engine.look(built.id)
    if problem := too_large(spec, image.size) or other_variant(spec, image):
        raise Refused(problem)
    if not asked.commit:
        raise Refused(Problem("there is no commit to name it by", "commit first, or give --revision", "image push"))
    places = [Repository.of(name) for name in repositories(spec)]
    _ask_all(places)
    variant = spec.image.variant
    wanted = names.wanted(asked.commit, asked.release, None, variant)
    _refuse_taken(places, wanted, built.id)
    digest = _pushed_to_all(engine, built.id, repositories(spec), wanted.first)
    if asked.stable:
        wanted = names.wanted(asked.commit, asked.release, number_of(places, digest, variant), variant)
    manifests = [found(place, digest) for place in places]
    notes = name_all(places, manifests, wanted)
    made = record.Pushed(digest, built.id, repositories(spec), wanted.all, built.models)
    record.write(pushed_of(project), made)
    return Outcome(made, tuple(notes))


def pushed_of(project: Project) -> Path:
    return folder_of(project) / "pushed.json"


def _ask_all(places: Sequence[Repository]) -> None:
    problems: list[Problem] = []
    for place in places:
        try:
            place.may_push()
        except ArrieroError as error:
            problems += error.problems
    if problems:
        raise Refused(problems)


def _refuse_taken(places: Sequence[Repository], wanted: names.Wanted, image: str) -> None:
    there = {str(place): _taken(place, wanted.fixed, image) for place in places}
    if problems := names.conflicts(wanted, there):
        raise Refused(problems)


def _taken(place: Repository, tags: Sequence[str], image: str) -> dict[str, bool]:
    """An engine knows an image by the digest of its configuration, or (with containerd's store) of its manifest."""
    found = {tag: place.find(tag) for tag in tags}
    return {tag: image in (manifest.config, manifest.digest) for tag, manifest in found.items() if manifest}


def _pushed_to_all(engine: Engine, image: str, targets: Sequence[str], tag: str) -> str:
    digests: dict[str, str] = {}
    for target in targets:
        name = f"{target}:{tag}"
        engine.name(image, name)
        digests[target] = engine.push(name)
    if len(set(digests.values())) > 1:
        rows = ", ".join(f"{target}: {digest}" for target, digest in digests.items())
        remedy = "nothing was tagged; push with one engine of one version"
        raise ArrieroError(Problem(f"the registries have different digests ({rows})", remedy, "image push"))
    return next(iter(digests.values()))


def found(place: Repository, digest: str) -> Manifest:
    """Raises ArrieroError where it is not."""
    manifest = place.find(digest)
    if manifest is None:
        raise ArrieroError(Problem(f"{digest} is not there", "push it: arriero image push", str(place)))
    return manifest


def number_of(places: Sequence[Repository], digest: str, variant: Variant = "cpu") -> int:
    """The next one, or the newest where that is this image already: a second promotion gives no second name."""
    following = names.next_stable((tag for place in places for tag in place.tags()), variant)
    (last,) = names.wanted("", None, following - 1, variant).fixed
    newest = [place.find(last) for place in places]
    there = {manifest.digest for manifest in newest if manifest}
    return following - 1 if there == {digest} else following


def name_all(places: Sequence[Repository], manifests: Sequence[Manifest], wanted: names.Wanted) -> list[str]:
    """Fixed names first, everywhere. A registry whose tags never move keeps its `stable`, which is said.

    Raises ArrieroError that says which names are given nevertheless.
    """
    given: list[tuple[Repository, str]] = []
    before = [{tag: place.find(tag) for tag in wanted.moving} for place in places]
    notes: list[str] = []
    try:
        for tag in (*wanted.fixed, *wanted.moving):
            for place, manifest, old in zip(places, manifests, before, strict=True):
                try:
                    place.tag(manifest, tag)
                except ArrieroError:
                    if not old.get(tag) or tag not in wanted.moving:
                        raise
                    notes.append(f"{place} lets no tag move: {tag} stays where it was")
                else:
                    given.append((place, tag))
    except ArrieroError as error:
        former = dict(zip(places, before, strict=True))
        kept = [f"{place}:{tag}" for place, tag in given if not _put_back(place, tag, former[place].get(tag))]
        said = f"these names were given: {', '.join(kept)}" if kept else "no release's name was given"
        raise ArrieroError([*error.problems, Problem(said, "push again: what is there stays as it is")]) from None
    return notes


def _put_back(place: Repository, tag: str, former: Manifest | None) -> bool:
    """Whether the name stands for what it stood for before: the protocol has no way to take a name away."""
    if former is None:
        return False
    try:
        place.tag(former, tag)
    except ArrieroError:
        return False
    return True
