"""The record of one deployment's steps, an object an entry, beside the ledger: `journal/<epoch>/<n>.json`.

Each step is written before and after, in the order in which it was heard of; so is the end of each site, each drain and
each switch. An entry is in the authority store before the next event is looked at. A store that does not take one does
not stop the deployment: the lease, which is in the same store, does that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from arriero.errors import ArrieroError
from arriero.events import Event, Json, Listener
from arriero.releases.lease import Lease
from arriero.releases.ledger import Ledger
from arriero.releases.store import Store, StoreError

KEPT = ("deployment.", "step.started", "step.finished", "step.failed", "site.", "edge.", "intent.", "trial.")


@contextmanager
def opened(books: Ledger, lease: Lease, listener: Listener) -> Iterator[Listener]:
    """A listener that writes what counts and then hands everything on."""
    count = 0

    def note(event: Event) -> None:
        nonlocal count
        if event.kind.startswith(KEPT):
            count += 1
            data = json.dumps(event.as_json(), default=str).encode()
            try:
                books.write_entry(lease, f"journal/{lease.epoch:08d}/{count:06d}.json", data)
            except (ArrieroError, StoreError) as error:
                listener(Event("ledger.lagging", event.at, "ledger", {"text": f"not in the journal: {error}"}))
        listener(event)

    yield note


def read(store: Store, epoch: int) -> Sequence[dict[str, Json]]:
    """A deployment's entries, in order. Raises StoreError."""
    found = [store.read(key) for key in store.names(f"journal/{epoch:08d}/")]
    return [json.loads(each.data) for each in found if each]
