"""`python -m arriero.gateway SETTINGS`: the gateway without the rest of the command line (starts in half the time)."""

from __future__ import annotations

import sys
from pathlib import Path

from arriero.errors import ArrieroError
from arriero.gateway.main import run

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m arriero.gateway SETTINGS.json")
    try:
        sys.exit(run(Path(sys.argv[1])))
    except ArrieroError as error:
        sys.exit(str(error))
