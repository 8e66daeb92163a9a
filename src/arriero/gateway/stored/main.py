"""The programs: laying models out before a target's Ollama, putting them into the storage, taking them out of it."""

from __future__ import annotations

from collections.abc import Mapping

from arriero.clock import Clock, SystemClock
from arriero.gateway.stored.clean import Cleaning, clean
from arriero.gateway.stored.lay import Layout, lay
from arriero.gateway.stored.seed import Job, seed


def run_lay(environment: Mapping[str, str]) -> int:
    """Raises ArrieroError for bad settings, and for a model that is not whole."""
    for line in lay(Layout.of(environment)):
        print(line, flush=True)
    return 0


def run_seed(environment: Mapping[str, str], clock: Clock | None = None) -> int:
    """Raises ArrieroError for bad settings, and for a model that can't be had."""
    for line in seed(Job.of(environment), clock or SystemClock()):
        print(line, flush=True)
    return 0


def run_clean(environment: Mapping[str, str]) -> int:
    """Raises ArrieroError for bad settings, and for a storage of which it can't be known what is needed there."""
    for line in clean(Cleaning.of(environment)):
        print(line, flush=True)
    return 0
