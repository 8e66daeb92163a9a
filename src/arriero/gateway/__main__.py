"""The gateway without the rest of the command line (starts in half the time).

`python -m arriero.gateway SETTINGS` serves many targets, and so does `python -m arriero.gateway edge`, which has its
settings from its environment; `python -m arriero.gateway sidecar` stands beside one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from arriero.errors import ArrieroError


def main(arguments: Sequence[str]) -> int:
    """Serves until a signal; raises ArrieroError for settings that can't be used."""
    if tuple(arguments) == ("sidecar",):
        from arriero.gateway.sidecar.main import run as run_sidecar

        return run_sidecar(os.environ)
    if tuple(arguments) == ("edge",):
        from arriero.gateway.edge.main import run as run_edge

        return run_edge(os.environ)
    from arriero.gateway.main import run

    return run(Path(arguments[0]))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m arriero.gateway SETTINGS.json | edge | sidecar")
    try:
        sys.exit(main(sys.argv[1:]))
    except ArrieroError as error:
        sys.exit(str(error))
