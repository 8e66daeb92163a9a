"""The image that a pipeline pushed, put into the spec by its digest: what was tested is what is deployed."""

from __future__ import annotations

from arriero.deploy.project import Project
from arriero.errors import Problem, Refused
from arriero.pipeline.image import push, record
from arriero.spec.model import Spec


def pinned(project: Project, spec: Spec) -> Spec:
    """Raises Refused where nothing was pushed from here, or to other repositories than those of the spec."""
    found = record.read_pushed(push.pushed_of(project))
    if found is None:
        raise Refused(Problem("no image was pushed from here", "push it: arriero image push", "--pushed"))
    if missing := sorted(set(push.repositories(spec)) - set(found.repositories)):
        what = f"the image was not pushed to {', '.join(missing)}"
        raise Refused(Problem(what, "push it again: arriero image push", "--pushed"))
    name = f"{spec.image.repository}@{found.digest}"
    return spec.model_copy(update={"image": spec.image.model_copy(update={"name": name})})
