"""After a deployment: the release's image is named by it where its registry would let it go otherwise."""

from __future__ import annotations

import sys

from arriero.cli.here import Here
from arriero.deploy.releasing import Deployed
from arriero.plan.model import Facts
from arriero.spec.image import repository_of
from arriero.spec.model import Spec


def name_release(here: Here, spec: Spec, facts: Facts, done: Deployed) -> None:
    """Gives `r<n>` in the registries whose rules are kept here (`plan/registries.py`), and in such as are on this
    machine; of others nobody knows what they let go. What hinders it is told, and fails nothing.
    """
    from arriero.pipeline.image import stable

    if not done.outcome.done or not spec.image.digest:
        return
    ours = {repository_of(spec.image.at(found.cloud)) for found in facts.registries if found.is_there}
    notes = stable.name_release(
        spec,
        spec.image.digest,
        done.release,
        lambda place: place.insecure or (not here.is_staged and str(place) in ours),
    )
    print("".join(f"! {note}\n" for note in notes), end="", file=sys.stderr)
