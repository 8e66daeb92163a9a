"""After a deployment: the release's image is named by it where its registry would let it go otherwise, and the list of
its parts, if it was scanned here, is kept in the ledger. What hinders either is told, and fails nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from arriero.cli.here import Here
from arriero.cli.releases import ledger
from arriero.deploy.releasing import Deployed
from arriero.errors import ArrieroError
from arriero.plan.model import Facts
from arriero.spec.image import repository_of
from arriero.spec.model import Spec


def remember(here: Here, spec: Spec, facts: Facts, done: Deployed) -> None:
    if not done.outcome.done or not spec.image.digest:
        return
    notes = [*_named(here, spec, facts, done.release), *_kept(here, spec)]
    print("".join(f"! {note}\n" for note in notes), end="", file=sys.stderr)


def _named(here: Here, spec: Spec, facts: Facts, number: int) -> tuple[str, ...]:
    """Gives `r<n>` in the registries whose rules are kept here (`plan/registries.py`), and in such as are on this
    machine; of others nobody knows what they let go.
    """
    from arriero.pipeline.image import stable

    ours = {repository_of(spec.image.at(found.cloud, found.region)) for found in facts.registries if found.is_there}
    return stable.name_release(
        spec,
        spec.image.digest,
        number,
        lambda place: place.insecure or (not here.is_staged and str(place) in ours),
    )


def _kept(here: Here, spec: Spec) -> Iterator[str]:
    """The ledger is opened anew: the first deployment has only just made its stores."""
    from arriero.pipeline.image import push, record, scan

    pushed = record.read_pushed(push.pushed_of(here.project))
    if pushed is None or pushed.digest != spec.image.digest:
        return
    try:
        bill = scan.kept_bill(here.project, pushed.id).read_bytes()
    except OSError:
        return  # it was not scanned
    try:
        books = ledger(here)
        if books.keep_parts(pushed.digest, bill):
            books.copy()
    except ArrieroError as error:
        yield f"the list of the image's parts was not kept: {error.problems[0]}"
