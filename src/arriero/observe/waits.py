"""How long requests wait for a free slot, out of what a gateway counts: its own histogram, of all its time."""

from __future__ import annotations

import re

from arriero.observe.validation.server import NoAnswer, Server
from arriero.secret import Secret

FAMILY = "arriero_queue_seconds"
_BUCKET = re.compile(rf'{FAMILY}_bucket\{{(.*)le="([^"]+)"\}} (\S+)')
# Fewer requests tell nothing of one in a hundred.
LEAST_REQUESTS = 1000


def longest_wait(url: str, key: str) -> float | None:
    """Seconds that one request in a hundred waits at least, of the model where it is longest; None: nobody says."""
    try:
        text = Server(url, 5.0, Secret(key)).get("/metrics").decode(errors="replace")
    except NoAnswer:
        return None
    return wait_in(text)


def wait_in(text: str) -> float | None:
    """The same, out of the text in Prometheus's form. A wait within the first bucket counts as none."""
    models: dict[str, list[tuple[float, float]]] = {}
    for labels, bound, count in _BUCKET.findall(text):
        models.setdefault(labels, []).append((float(bound), float(count)))
    found = [_quantile(sorted(rows)) for rows in models.values() if max(count for _, count in rows) >= LEAST_REQUESTS]
    return max(found, default=None)


def _quantile(rows: list[tuple[float, float]]) -> float:
    """The lower bound of the bucket in which the 99th percentile lies."""
    whole = rows[-1][1]
    below = 0.0
    for bound, count in rows:
        if count >= 0.99 * whole:
            return below
        below = bound
    return below
