"""The image of a spec by its digest: a deployment names no tag, which can move between two of its targets.

`pushed` takes what was pushed from here; `by_digest` asks the registries what the spec's tag stands for now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from arriero.deploy.project import Project
from arriero.errors import ArrieroError, Problem, Refused
from arriero.pipeline.image import push, record
from arriero.pipeline.image.registry import Repository
from arriero.plan.model import LastRelease
from arriero.spec.model import Spec

# The digest of a tag in a repository, empty where it is not there, None where it is not to be asked; raises
# ArrieroError where nobody can tell.
Find = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class Pinned:
    """`warning` says why the image is still named by its tag, or is what it was before; else it is empty. With a
    `problem` there is nothing to deploy: a plan tells it, and a deployment is refused.
    """

    spec: Spec
    warning: str = ""
    problem: Problem | None = None


def pushed(project: Project, spec: Spec) -> Spec:
    """With the digests of what was tested: the image's, and those of the models in it.

    Raises Refused where nothing was pushed from here, or to other repositories than those of the spec.
    """
    found = record.read_pushed(push.pushed_of(project))
    if found is None:
        raise Refused(Problem("no image was pushed from here", "push it: arriero image push", "--pushed"))
    if missing := sorted(set(push.repositories(spec)) - set(found.repositories)):
        what = f"the image was not pushed to {', '.join(missing)}"
        raise Refused(Problem(what, "push it again: arriero image push", "--pushed"))
    models = tuple(
        model.model_copy(update={"digest": found.models.get(model.name, model.digest)}) for model in spec.models
    )
    return _with(spec, found.digest).model_copy(update={"models": models})


def by_digest(spec: Spec, former: LastRelease | None, find: Find) -> Pinned:
    """Where no registry tells, an image that is written as the newest release has it is that release's."""
    if spec.image.digest or all(site.cloud == "local" for site in spec.sites.values()):
        return Pinned(spec)
    told, untold = _asked(spec, find)
    if len(set(told.values())) > 1:
        remedy = "bring one image to all: arriero image push"
        return Pinned(spec, problem=Problem(_difference(spec, told), remedy, "image"))
    digest = next(iter(told.values()), "")
    if digest:
        return Pinned(_with(spec, digest), f"was not asked for at {'; '.join(untold)}" if untold else "")
    why = "; ".join(untold or [f"{place} has no {spec.image.tag}" for place in told])
    if former and former.digest and former.image == spec.image.name:
        return Pinned(_with(spec, former.digest), f"is that of release {former.number}: {why}" if why else "")
    if told and not untold:
        return Pinned(spec, problem=Problem(why, "push it: arriero image push; or correct the tag", "image"))
    return Pinned(spec, f"is deployed by its tag, which can move, and its digest is not known: {why}" if why else "")


def in_registry(repository: str, tag: str) -> str:
    found = Repository.of(repository).find(tag)
    return found.digest if found else ""


def on_this_machine(repository: str, tag: str) -> str | None:
    """For a rehearsal: it asks nobody beyond this machine."""
    return in_registry(repository, tag) if Repository.of(repository).insecure else None


def _asked(spec: Spec, find: Find) -> tuple[Mapping[str, str], list[str]]:
    told: dict[str, str] = {}
    untold: list[str] = []
    for repository in push.repositories(spec):
        try:
            digest = find(repository, spec.image.tag)
        except ArrieroError as error:
            untold += [f"{problem.key}: {problem.what}" for problem in error.problems]
            continue
        told |= {repository: digest} if digest is not None else {}
    return told, untold


def _difference(spec: Spec, told: Mapping[str, str]) -> str:
    rows = ", ".join(f"{place}: {digest or 'nothing'}" for place, digest in told.items())
    return f"the registries have different images under {spec.image.tag} ({rows})"


def _with(spec: Spec, digest: str) -> Spec:
    name = f"{spec.image.repository}@{digest}"
    return spec.model_copy(update={"image": spec.image.model_copy(update={"name": name})})
