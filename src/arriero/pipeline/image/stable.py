"""The names that an image gets after it was pushed: `r<n>` when release n was deployed with it, and when that became
stable the next `stable-v<n>`, which never moves, and `stable`, everywhere.

Registries keep what has such a name (`plan/registries.py`, `plan/purging.py`), so a way back to it stays open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from arriero.errors import ArrieroError
from arriero.pipeline.image import tags as names
from arriero.pipeline.image.push import found, name_all, number_of, repositories
from arriero.pipeline.image.registry import Repository
from arriero.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Marked:
    """`tag` is empty where no name was given; `notes` say why, or what a registry would not do."""

    tag: str = ""
    notes: tuple[str, ...] = ()


def mark(spec: Spec, digest: str, may_ask: Callable[[Repository], bool]) -> Marked:
    """Names the image in the registries of its release's spec, but those that may not be asked. Raises nothing: which
    release is stable is the ledger's to say, and an image may be somebody else's.
    """
    places = [place for place in map(Repository.of, repositories(spec)) if may_ask(place)]
    if not places:
        return Marked()
    if not digest:
        return Marked(notes=("it was deployed by its tag, so no image can be named stable",))
    try:
        manifests = [found(place, digest) for place in places]
        wanted = names.wanted("", None, number_of(places, digest, spec.image.variant), spec.image.variant)
        notes = name_all(places, manifests, wanted)
    except ArrieroError as error:
        return Marked(notes=tuple(str(problem) for problem in error.problems))
    return Marked(wanted.fixed[0], tuple(notes))


def name_release(spec: Spec, digest: str, number: int, may_ask: Callable[[Repository], bool]) -> tuple[str, ...]:
    """Names the image `r<number>` in the registries of the spec that may be asked; an image that has the name keeps it.
    Returns what hindered it, and raises nothing, as `mark` does.
    """
    wanted = names.wanted("", number, None, spec.image.variant)
    notes: list[str] = []
    for place in map(Repository.of, repositories(spec)):
        if not digest or not may_ask(place):
            continue
        try:
            there = place.find(wanted.fixed[0])
            if there is None:
                name_all([place], [found(place, digest)], wanted)
            elif there.digest != digest:
                notes.append(f"{place}:{wanted.fixed[0]} is another image already, so it keeps that one")
        except ArrieroError as error:
            notes += [f"the image was not named {wanted.fixed[0]}: {problem}" for problem in error.problems[:1]]
    return tuple(notes)
