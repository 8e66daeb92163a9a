"""A target's sidecar as a process of the stage: the product's own, tied to the stage's life."""

import os
import signal
import sys

from arriero.errors import ArrieroError
from arriero.gateway.sidecar.main import run
from arriero.rehearse.bond import die_with_parent


def main() -> None:
    die_with_parent(signal.SIGKILL, int(os.environ.pop("ARRIERO_PARENT")))
    try:
        sys.exit(run(os.environ))
    except ArrieroError as error:
        sys.exit(str(error))
