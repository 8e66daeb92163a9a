"""Our own programs in a target's containers as processes of the stage: the product's own, tied to the stage's life."""

import os
import signal
import sys

from arriero.errors import ArrieroError
from arriero.rehearse.bond import die_with_parent


def main() -> None:
    die_with_parent(signal.SIGKILL, int(os.environ.pop("ARRIERO_PARENT")))
    try:
        sys.exit(_run(sys.argv[1]))
    except ArrieroError as error:
        sys.exit(str(error))


def _run(verb: str) -> int:
    """Only what is asked for is imported: a sidecar's start is waited for at each of a stage's targets."""
    if verb == "sidecar":
        from arriero.gateway.sidecar.main import run

        return run(os.environ)
    if verb == "edge":
        from arriero.gateway.edge.main import run as run_edge

        return run_edge(os.environ)
    from arriero.gateway.stored.main import run_clean, run_lay, run_seed

    return {"lay-models": run_lay, "seed-models": run_seed, "clean-models": run_clean}[verb](os.environ)
