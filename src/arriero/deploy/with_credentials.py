"""`python -m arriero.deploy.with_credentials PARENT FILE COMMAND…`: becomes COMMAND with FILE's JSON as environment."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, source, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    _end_with(parent)
    environment = json.loads(Path(source).read_bytes())
    os.execvpe(command[0], command, environment)


def _end_with(parent: int) -> None:
    """Has the kernel end us when the parent dies, kill -9 included; Ansible takes its workers along on SIGTERM."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    main()
